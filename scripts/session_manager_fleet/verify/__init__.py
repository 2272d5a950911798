"""Whether what was rolled out works: read through the AWS APIs, without terraform."""
