variable "ci" {
  description = "Roles for CI jobs by OpenID Connect, in the account whose credentials run the rollout: one that plans, for pull requests, too, and one that applies. `null` creates none. `service` is `github` or `gitlab`; the subjects are the `sub` claims that may assume the roles, with `*` as a wildcard after the repository. `existing_provider_arn` names an identity provider that the account already has. `state_role_arn` is organization.state.role, where the states are in another account."
  type = object({
    service               = optional(string, "github")
    issuer_url            = optional(string)
    audience              = optional(string)
    existing_provider_arn = optional(string)
    plan_subjects         = set(string)
    apply_subjects        = set(string)
    plan_role_name        = optional(string, "session-manager-plan")
    apply_role_name       = optional(string, "session-manager-apply")
    read_role_name        = optional(string, "session-manager-read")
    deployment_role_name  = optional(string, "session-manager-deployment")
    max_session_duration  = optional(number, 14400)
    organization_id       = string
    state_bucket          = string
    state_key_prefix      = optional(string, "session-manager")
    state_kms_key_arn     = optional(string)
    state_role_arn        = optional(string)
  })
  default = null

  validation {
    condition     = var.ci == null ? true : contains(["github", "gitlab"], var.ci.service)
    error_message = "The ci.service must be github or gitlab."
  }

  validation {
    condition = var.ci == null ? true : alltrue([
      for subject in setunion(var.ci.plan_subjects, var.ci.apply_subjects) : can(regex("^(repo|project_path):[^*?:/]+/[^*?:]+:.+$", subject))
    ])
    error_message = "The subjects must name a repository without wildcards, such as repo:example/landing-zone:pull_request or project_path:example/landing-zone:ref_type:branch:ref:main."
  }

  validation {
    condition = var.ci == null ? true : alltrue([
      for subject in var.ci.apply_subjects : !endswith(subject, ":pull_request") && !can(regex("^[^:]+:[^:]+:[*]", subject))
    ])
    error_message = "The apply_subjects must name an environment or a branch: pull requests, or all jobs of a repository, may not apply."
  }

  validation {
    condition     = try(var.ci.state_role_arn, null) == null ? true : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]+$", var.ci.state_role_arn))
    error_message = "The ci.state_role_arn must be the ARN of a role, such as arn:aws:iam::111122223333:role/session-manager-states."
  }

  validation {
    condition     = var.ci == null ? true : (var.ci.max_session_duration >= 3600 && var.ci.max_session_duration <= 43200)
    error_message = "The ci.max_session_duration must be 3600 to 43200 seconds."
  }
}

variable "member" {
  description = "Roles in a member account: one that reads and one that changes. `null` creates none. Only the principals (ARNs of roles, or of accounts) in `trusted_by_read_role` and `trusted_by_deployment_role` may assume them."
  type = object({
    trusted_by_read_role       = set(string)
    trusted_by_deployment_role = set(string)
    external_id                = optional(string)
    read_role_name             = optional(string, "session-manager-read")
    deployment_role_name       = optional(string, "session-manager-deployment")
    policy_name_prefix         = optional(string, "session-manager-rollout")
  })
  default = null

  validation {
    condition = var.member == null ? true : alltrue([
      for arn in setunion(var.member.trusted_by_read_role, var.member.trusted_by_deployment_role) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(root|role/[\\w+=,.@/-]+)$", arn))
    ])
    error_message = "The trusted principals must be ARNs of roles or of accounts, such as arn:aws:iam::111122223333:role/session-manager-plan, without wildcards."
  }

  validation {
    condition     = var.member == null ? true : (length(var.member.trusted_by_read_role) > 0 && length(var.member.trusted_by_deployment_role) > 0)
    error_message = "The member roles need at least one trusted principal each."
  }
}

variable "names" {
  description = "Names of the resources that the roles may read and change: those of the root module's variable `names`, and the names of the buckets of session logs, with `*` as a wildcard."
  type = object({
    log_group           = optional(string, "ssm-sessionmanager-logs")
    policy              = optional(string, "SessionManagerLogPolicy")
    policy_path         = optional(string, "/")
    data_key_parameter  = optional(string, "/session-manager/session-data-key")
    document            = optional(string, "SSM-SessionManagerRunShell")
    automation_document = optional(string, "Attach-ssm-policy-to-instance-profile")
    function            = optional(string, "session-manager-preferences")
    log_bucket          = optional(string, "session-manager-logs-*")
  })
  default  = {}
  nullable = false
}

variable "path" {
  description = "Path of the roles and policies."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([\\w+=,.@-]+/)*$", var.path))
    error_message = "The path must begin and end with a slash, such as /platform/."
  }
}

variable "permissions_boundary" {
  description = "ARN of a managed policy that limits the permissions of all roles of this module."
  type        = string
  default     = null
}
