# Buckets of AWS from which instances read, apart from those of Session Manager's own logs. Sources in the Systems Manager user guide:
# ssm-agent-technical-details.html#ssm-agent-minimum-s3-permissions, and for the suffixes patch-manager-buckets-reference.html
# ("Reference: Amazon S3 buckets for patching operations"), read in 2026; and the package repositories of Amazon Linux 2 and 2023.
locals {
  # What the documents of Patch Manager download. Linux and Windows, and macOS, have the same suffix. By name and not with a
  # wildcard: anybody can create a bucket that begins like AWS's.
  patch_bucket_suffixes = {
    af-south-1     = "bdd5f65a9"
    ap-east-1      = "632356271"
    ap-northeast-1 = "4849fa78f"
    ap-northeast-2 = "10467995c"
    ap-northeast-3 = "67373598a"
    ap-south-1     = "cb7c62ff9"
    ap-south-2     = "32f4b4128"
    ap-southeast-1 = "7fdfd9ef7"
    ap-southeast-2 = "17283a275"
    ap-southeast-3 = "aa48fc462"
    ap-southeast-4 = "01e2c40d3"
    ca-central-1   = "3148e69e3"
    ca-west-1      = "9e3a4b2f9"
    eu-central-1   = "9163fdaaf"
    eu-central-2   = "184ce43c8"
    eu-north-1     = "795879e9b"
    eu-south-1     = "c52f3f594"
    eu-south-2     = "a4cf248b1"
    eu-west-1      = "5522fb710"
    eu-west-2      = "902a2bc74"
    eu-west-3      = "29bf85721"
    il-central-1   = "e221cb57b"
    me-central-1   = "2932f2f80"
    me-south-1     = "a53fc9dce"
    sa-east-1      = "ddf4b6a09"
    us-east-1      = "1970c647d"
    us-east-2      = "552881074"
    us-west-1      = "8badb4304"
    us-west-2      = "34d7f99f8"
  }

  # In the other regions the bucket has no suffix.
  patch_snapshot_suffixes = {
    af-south-1     = "tbxdb5b9"
    ap-south-2     = "50209442"
    ap-southeast-3 = "be0a3174"
    ap-southeast-4 = "dc6f76ce"
    eu-south-2     = "df2c9d70"
    me-south-1     = "uduvl7q8"
  }

  aws_bucket_names = coalesce(var.aws_bucket_names, concat(
    [
      "al2023-repos-${local.region}-de612dc2",
      "amazon-ssm-${local.region}",
      "amazon-ssm-packages-${local.region}",
      "amazonlinux-2-repos-${local.region}",
      "aws-ssm-${local.region}",
      "aws-ssm-distributor-file-${local.region}",
      "aws-ssm-document-attachments-${local.region}",
      "aws-windows-downloads-${local.region}",
      join("-", compact(["patch-baseline-snapshot", local.region, lookup(local.patch_snapshot_suffixes, local.region, "")])),
      "${local.region}-birdwatcher-prod",
    ],
    [
      for kind in ["aws-patch-manager", "aws-patchmanager-macos"] : "${kind}-${local.region}-${local.patch_bucket_suffixes[local.region]}"
      if contains(keys(local.patch_bucket_suffixes), local.region)
    ],
  ))
}
