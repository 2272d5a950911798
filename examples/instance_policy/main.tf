provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# Session logs go to CloudWatch Logs and, below the account's own folder, to a bucket that the organization shares.
module "instance_policy" {
  source = "../../modules/instance_policy"

  session_key_regions = [var.region]

  s3 = {
    bucket_name = var.log_bucket_name
  }
}
