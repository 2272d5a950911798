output "endpoint_ids" {
  description = "Ids of the endpoints by service."
  value       = module.vpc_endpoints.endpoint_ids
}

output "policies" {
  description = "What the policies of the endpoints say."
  value       = module.vpc_endpoints.policies
}

output "security_group_ids" {
  description = "Security groups of the interface endpoints."
  value       = module.vpc_endpoints.security_group_ids
}

output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}
