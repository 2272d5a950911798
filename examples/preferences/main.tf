provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# Stricter than the defaults: short sessions, streamed logs that stay for a year, and a team's own document kept where this
# example says nothing.
module "preferences" {
  source = "../../modules/preferences"

  idle_session_timeout = 10
  max_session_duration = 30
  adopt                = "merge"

  cloudwatch = {
    streaming_enabled = true
    retention_in_days = 365
  }

  shell_profile = {
    linux = "cd \"$HOME\" && umask 077"
  }
}
