# The chart of this repository, with one worker for each GPU node.
resource "helm_release" "whisper_fleet" {
  name             = "whisper-fleet"
  namespace        = "whisper-fleet"
  create_namespace = true
  chart            = "${path.module}/../helm/whisper-fleet"
  timeout          = 1800 # nodes with GPUs come slowly, and each pulls the model

  values = concat([yamlencode({
    image  = { registry = var.image_registry, tag = var.image_tag }
    model  = { name = var.model }
    router = { replicas = 2 }
    worker = {
      replicas     = max(1, var.gpu_nodes.min)
      threads      = 2
      memory       = { request = "6Gi", limit = "12Gi" }
      gpu          = { enabled = true }
      nodeSelector = { "whisper-fleet/gpu" = "true" }
    }
  })], var.values)

  depends_on = [aws_eks_addon.coredns, aws_eks_node_group.gpu]
}
