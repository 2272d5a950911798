provider "aws" {
  region = var.region

  default_tags {
    tags = var.tags
  }
}

# A VPC without any way to the internet.
resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Whether traffic is logged is decided for the VPCs that exist; this one is for the example only.
  cidr_block           = "10.20.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "this" {
  for_each = { a = "10.20.0.0/24", b = "10.20.1.0/24" }

  vpc_id            = aws_vpc.this.id
  availability_zone = "${var.region}${each.key}"
  cidr_block        = each.value
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table_association" "this" {
  for_each = aws_subnet.this

  subnet_id      = each.value.id
  route_table_id = aws_route_table.this.id
}

# Its instances reach Session Manager, the keys and both places of the session logs, as the organization and not otherwise.
module "vpc_endpoints" {
  source = "../../modules/vpc_endpoints"

  organization_id = var.organization_id
  vpc_id          = aws_vpc.this.id
  subnet_ids      = values(aws_subnet.this)[*].id
  route_table_ids = [aws_route_table.this.id]
}
