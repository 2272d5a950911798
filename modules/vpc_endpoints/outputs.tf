output "endpoint_ids" {
  description = "Ids of the endpoints by service, of the existing ones, too."
  value = merge(
    var.existing_endpoints,
    { for service, endpoint in aws_vpc_endpoint.interface : service => endpoint.id },
    { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.id },
  )

  # Here and not in the endpoints, each of which would say it again.
  precondition {
    condition     = length(distinct(data.aws_subnet.this[*].availability_zone)) == length(var.subnet_ids)
    error_message = "The subnet_ids must be in one availability zone each, but are in ${join(", ", sort(data.aws_subnet.this[*].availability_zone))}: an endpoint takes one subnet of each zone."
  }
}

output "policies" {
  description = "Policy documents of the created endpoints by service."
  value       = { for service, document in data.aws_iam_policy_document.this : service => document.json }
}

output "security_group_ids" {
  description = "Security groups of the created interface endpoints."
  value       = length(local.interfaces) > 0 ? local.security_group_ids : []
}
