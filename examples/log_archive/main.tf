provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# In the log archive account: every account of the organization writes into its own folder, and the auditors read.
module "log_archive" {
  source = "../../modules/log_archive"

  organization_id  = var.organization_id
  bucket_name      = var.bucket_name
  reader_role_arns = var.reader_role_arns

  retention = {
    days            = 730
    noncurrent_days = 90
    transitions     = [{ days = 90, storage_class = "GLACIER_IR" }]
  }

  object_lock = {
    mode = "GOVERNANCE"
    days = 365
  }

  session_key = {
    mode = "separate"
  }
}
