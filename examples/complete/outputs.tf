output "document" {
  description = "What happened to the document."
  value       = module.preferences.document
}

output "preferences" {
  description = "The managed preferences, by the names of the document's inputs."
  value       = module.preferences.preferences
}

output "session_key_arn" {
  description = "Key on which the people who open sessions need kms:GenerateDataKey."
  value       = module.preferences.session_key_arn
}
