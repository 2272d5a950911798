variable "allowed_cidr_blocks" {
  description = "IPv4 ranges whose instances may use the endpoints. Empty is the ranges of the VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for block in var.allowed_cidr_blocks : can(cidrnetmask(block)) && try(cidrhost(block, 0) == split("/", block)[0], false)])
    error_message = "The allowed_cidr_blocks must be IPv4 ranges by their first address, such as 10.0.0.0/16."
  }

  validation {
    condition     = alltrue([for block in var.allowed_cidr_blocks : !endswith(block, "/0")])
    error_message = "The allowed_cidr_blocks must not be everything: endpoints have private addresses."
  }

  # Two ranges overlap when they are the same in the length of the shorter prefix.
  validation {
    condition = try(alltrue(flatten([
      for number, one in var.allowed_cidr_blocks : [
        for other in slice(var.allowed_cidr_blocks, number + 1, length(var.allowed_cidr_blocks)) :
        cidrhost("${split("/", one)[0]}/${min(split("/", one)[1], split("/", other)[1])}", 0)
        != cidrhost("${split("/", other)[0]}/${min(split("/", one)[1], split("/", other)[1])}", 0)
      ]
    ])), true)
    error_message = "The allowed_cidr_blocks must not overlap, nor name a range twice."
  }

  validation {
    condition     = length(var.allowed_cidr_blocks) == 0 || length(var.security_group_ids) == 0
    error_message = "The allowed_cidr_blocks have no effect on the security_group_ids: give one of them."
  }
}

variable "aws_bucket_names" {
  description = "Buckets of AWS from which anybody in the VPC may read through the S3 endpoint. `null` is those that the agent, Patch Manager and the packages of Amazon Linux need in the region."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for name in coalesce(var.aws_bucket_names, []) : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", name))])
    error_message = "The aws_bucket_names must be names of buckets, without wildcards."
  }
}

variable "existing_endpoints" {
  description = "Endpoints that the VPC has already, as ids by service, such as `{ ssm = \"vpce-0a1b2c3d4e5f60718\" }`: they are checked, left as they are, and not created again."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.existing_endpoints), ["ec2", "ec2messages", "kms", "logs", "s3", "ssm", "ssmmessages"])) == 0
    error_message = "The existing_endpoints must be for ec2, ec2messages, kms, logs, s3, ssm or ssmmessages."
  }

  validation {
    condition     = alltrue([for id in values(var.existing_endpoints) : can(regex("^vpce-[0-9a-f]{8,17}$", id))])
    error_message = "The existing_endpoints must be ids of VPC endpoints, such as vpce-0a1b2c3d4e5f60718."
  }
}

variable "organization_id" {
  description = "Id of the organization whose principals may use the endpoints, such as `o-exampleorgid`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "The organization_id must be the id of an organization, such as o-exampleorgid."
  }
}

variable "private_dns_enabled" {
  description = "Whether the usual names of the services resolve to the endpoints within the VPC, as the agent expects. Only one endpoint of a service can have that in a VPC."
  type        = bool
  default     = true
  nullable    = false
}

variable "route_table_ids" {
  description = "Route tables of the instances' subnets, which get the route to a gateway endpoint."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.route_table_ids : can(regex("^rtb-[0-9a-f]{8,17}$", id))])
    error_message = "The route_table_ids must be ids of route tables, such as rtb-0a1b2c3d4e5f60718."
  }

  validation {
    condition     = length(distinct(var.route_table_ids)) == length(var.route_table_ids)
    error_message = "The route_table_ids must not name a route table twice."
  }

  validation {
    condition     = length(var.route_table_ids) > 0 || var.services.s3 != "gateway" || contains(keys(var.existing_endpoints), "s3")
    error_message = "The route_table_ids must name at least one route table: a gateway endpoint for S3 is a route in them."
  }
}

variable "security_group_ids" {
  description = "Security groups of the endpoints. Empty creates one that lets in HTTPS from `allowed_cidr_blocks`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "The security_group_ids must be ids of security groups, such as sg-0a1b2c3d4e5f60718."
  }
}

variable "security_group_name" {
  description = "Name of the security group that is created."
  type        = string
  default     = "session-manager-endpoints"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9 ._:/()#,@+=&;{}!$*-]{1,255}$", var.security_group_name)) && !startswith(var.security_group_name, "sg-")
    error_message = "The security_group_name must have 1 to 255 letters, digits, spaces or characters of ._:/()#,@+=&;{}!$*-, and not begin with sg-."
  }
}

variable "services" {
  description = "Which endpoint each service gets: `interface`, `none`, and for S3 also `gateway`, which costs nothing. `logs` is for session logs in CloudWatch Logs, `ec2messages` for agents before 3.3.40."
  type = object({
    ec2         = optional(string, "interface")
    ec2messages = optional(string, "none")
    kms         = optional(string, "interface")
    logs        = optional(string, "interface")
    s3          = optional(string, "gateway")
    ssm         = optional(string, "interface")
    ssmmessages = optional(string, "interface")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for service, type in var.services : contains(service == "s3" ? ["gateway", "interface", "none"] : ["interface", "none"], type)])
    error_message = "The services must be interface or none each, and s3 gateway, interface or none."
  }
}

variable "subnet_ids" {
  description = "Subnets of the interface endpoints, one in each availability zone."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "The subnet_ids must be ids of subnets, such as subnet-0a1b2c3d4e5f60718."
  }

  validation {
    condition     = length(distinct(var.subnet_ids)) == length(var.subnet_ids)
    error_message = "The subnet_ids must not name a subnet twice."
  }

  validation {
    condition = length(var.subnet_ids) > 0 || length(setsubtract(
      [for service, type in var.services : service if type == "interface"], keys(var.existing_endpoints)
    )) == 0
    error_message = "The subnet_ids must name at least one subnet: interface endpoints have their addresses in them."
  }
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the instances."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "The vpc_id must be the id of a VPC, such as vpc-0a1b2c3d4e5f60718."
  }
}
