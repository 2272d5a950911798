provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# An account with an existing document: settings that are left out here stay unchanged, and destroy restores the original
# document.
module "preferences" {
  source = "../../modules/preferences"

  idle_session_timeout = 15
  adopt                = "merge"
  on_destroy           = "restore"
}
