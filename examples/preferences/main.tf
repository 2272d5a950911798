provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# A new account without a preferences document. Stricter than the defaults: short sessions, streamed logs kept for a year.
module "preferences" {
  source = "../../modules/preferences"

  idle_session_timeout = 10
  max_session_duration = 30

  cloudwatch = {
    streaming_enabled = true
    retention_in_days = 365
  }

  shell_profile = {
    linux = "cd \"$HOME\" && umask 077"
  }
}
