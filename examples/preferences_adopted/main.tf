provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# An account whose team has made its own document: what is left out here stays as the team has it, and destroying this gives
# back the document as it was.
module "preferences" {
  source = "../../modules/preferences"

  idle_session_timeout = 15
  adopt                = "merge"
  on_destroy           = "restore"
}
