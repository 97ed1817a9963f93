variable "name" {
  description = "Name of the cluster and of what belongs to it"
  type        = string
  default     = "whisper-fleet"
}

variable "region" {
  description = "AWS region; one that has the GPU instance type"
  type        = string
  default     = "eu-central-1"
}

variable "kubernetes_version" {
  description = "Version of the control plane and the nodes"
  type        = string
  default     = "1.33"
}

variable "vpc_cidr" {
  description = "Addresses of the VPC; a /16, cut into /20 subnets"
  type        = string
  default     = "10.80.0.0/16"
}

variable "api_cidrs" {
  description = "Who may reach the cluster's API from outside the VPC, such as your office; none by default"
  type        = list(string)
  default     = []
}

variable "cpu_instance_type" {
  description = "Nodes of the router and of the cluster's own pods"
  type        = string
  default     = "m7i.large"
}

variable "gpu_instance_type" {
  description = "Nodes of the workers: g6 has one L4 with 24 GB, enough for large-v3-turbo"
  type        = string
  default     = "g6.xlarge"
}

variable "gpu_nodes" {
  description = "Least and most GPU nodes; one worker each"
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 4 }
  validation {
    condition     = var.gpu_nodes.min >= 0 && var.gpu_nodes.max >= max(1, var.gpu_nodes.min)
    error_message = "gpu_nodes needs 0 <= min <= max and at least one node."
  }
}

variable "model" {
  description = "Model of the workers, as in docs/configuration.md"
  type        = string
  default     = "large-v3-turbo"
}

variable "image_registry" {
  description = "Where the images are, such as ghcr.io/OWNER/whisper-fleet"
  type        = string
}

variable "image_tag" {
  description = "Tag of the images; empty: the chart's own version"
  type        = string
  default     = ""
}

variable "values" {
  description = "More of the chart's values, as YAML documents; later ones win"
  type        = list(string)
  default     = []
}
