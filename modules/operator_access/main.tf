data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # EC2 instances, and machines elsewhere.
  instance_arns = flatten([
    for region in var.regions : [
      "arn:${local.partition}:ec2:${region}:${local.account_id}:instance/*",
      "arn:${local.partition}:ssm:${region}:${local.account_id}:managed-instance/*",
    ]
  ])

  # A managed policy holds 6,144 characters; IAM does not count whitespace.
  longest_policy = 6144
}
