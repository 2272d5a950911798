data "aws_partition" "current" {}

data "aws_region" "current" {}

# Plural data sources, so that a precondition can name the missing ids; the singular ones fail without a useful message.
data "aws_vpcs" "named" {
  filter {
    name   = "vpc-id"
    values = [var.vpc_id]
  }
}

data "aws_subnets" "named" {
  count = length(var.subnet_ids) > 0 ? 1 : 0

  filter {
    name   = "subnet-id"
    values = var.subnet_ids
  }
}

data "aws_vpc" "this" {
  id = var.vpc_id

  lifecycle {
    precondition {
      condition     = contains(data.aws_vpcs.named.ids, var.vpc_id)
      error_message = "There is no VPC ${var.vpc_id} in ${local.region} of this account."
    }

    postcondition {
      condition     = !var.private_dns_enabled || (self.enable_dns_support && self.enable_dns_hostnames)
      error_message = "The VPC ${var.vpc_id} needs DNS support and DNS hostnames, or instances do not find the endpoints: enable both, or set private_dns_enabled to false."
    }
  }
}

# By position and not by id: the ids of subnets that are created at the same time are not known yet.
data "aws_subnet" "this" {
  count = length(var.subnet_ids)

  id = var.subnet_ids[count.index]

  lifecycle {
    precondition {
      condition     = contains(data.aws_subnets.named[0].ids, var.subnet_ids[count.index])
      error_message = "There is no subnet ${var.subnet_ids[count.index]} in ${local.region} of this account: correct the subnet_ids."
    }

    postcondition {
      condition     = self.vpc_id == var.vpc_id
      error_message = "The subnet ${self.id} is in VPC ${self.vpc_id}, not in ${var.vpc_id}: name subnets of that VPC."
    }
  }
}

data "aws_vpc_endpoint" "existing" {
  for_each = var.existing_endpoints

  id = each.value

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.vpc_id
      error_message = "The endpoint ${each.value} of existing_endpoints is in VPC ${self.vpc_id}, not in ${var.vpc_id}."
    }

    postcondition {
      condition     = can(regex("^([a-z]+[.])*amazonaws[.]${local.region}[.]${each.key}$", self.service_name))
      error_message = "The endpoint ${each.value} of existing_endpoints is for ${self.service_name}, not for ${each.key} in ${local.region}."
    }

    postcondition {
      condition     = self.vpc_endpoint_type == "Gateway" || self.private_dns_enabled || !var.private_dns_enabled
      error_message = "The endpoint ${each.value} of existing_endpoints has no private DNS, so the agent does not find it: enable that, or set private_dns_enabled to false if names are resolved otherwise."
    }
  }
}

locals {
  partition = data.aws_partition.current.partition

  # `name` is deprecated since version 6 of the provider, and version 5 has no `region`.
  region = lookup(data.aws_region.current, "region", lookup(data.aws_region.current, "name", null))

  wanted_services = toset([for service, type in var.services : service if type != "none"])
  created         = { for service in setsubtract(local.wanted_services, keys(var.existing_endpoints)) : service => var.services[service] }
  interfaces      = toset([for service, type in local.created : service if type == "interface"])
  gateways        = toset([for service, type in local.created : service if type == "gateway"])

  # In China some services have names of their own, S3 only for its interface endpoint: the list of describe-vpc-endpoint-services
  # in aws-cdk, packages/aws-cdk-lib/aws-ec2/lib/vpc-endpoint.ts.
  services_with_prefix = startswith(local.region, "cn-") ? ["ec2", "s3"] : []

  creates_security_group = length(local.interfaces) > 0 && length(var.security_group_ids) == 0
  security_group_ids     = local.creates_security_group ? aws_security_group.this[*].id : var.security_group_ids

  allowed_cidr_blocks = (
    length(var.allowed_cidr_blocks) > 0
    ? var.allowed_cidr_blocks
    : [for association in data.aws_vpc.this.cidr_block_associations : association.cidr_block if association.state == "associated"]
  )
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interfaces

  vpc_id              = var.vpc_id
  service_name        = "${contains(local.services_with_prefix, each.key) ? "cn." : ""}com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = local.security_group_ids
  private_dns_enabled = var.private_dns_enabled
  policy              = data.aws_iam_policy_document.this[each.key].json

  # Without this, S3 gives its endpoint names only together with a gateway endpoint.
  dynamic "dns_options" {
    for_each = each.key == "s3" && var.private_dns_enabled ? [true] : []

    content {
      private_dns_only_for_inbound_resolver_endpoint = false
    }
  }

  tags = merge({ Name = "session-manager-${each.key}" }, var.tags)
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateways

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  policy            = data.aws_iam_policy_document.this[each.key].json

  tags = merge({ Name = "session-manager-${each.key}" }, var.tags)
}

# Without egress: an endpoint answers, and never asks. The rule stands within the group, since the ranges of a VPC that is created
# at the same time are not known yet.
resource "aws_security_group" "this" {
  count = local.creates_security_group ? 1 : 0

  name        = var.security_group_name
  description = "Session Manager: HTTPS to the VPC endpoints."
  vpc_id      = var.vpc_id

  ingress {
    description = "HTTPS from the instances."
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = local.allowed_cidr_blocks
  }

  tags = merge({ Name = var.security_group_name }, var.tags)
}
