output "kubeconfig" {
  description = "Command that lets kubectl reach the cluster"
  value       = "aws eks update-kubeconfig --name ${aws_eks_cluster.this.name} --region ${var.region}"
}

output "api_key" {
  description = "Command that prints the key for callers"
  value       = "kubectl -n whisper-fleet get secret whisper-fleet -o jsonpath='{.data.api-key}' | base64 -d"
}

output "try" {
  description = "Command that makes the fleet answer on this machine"
  value       = "kubectl -n whisper-fleet port-forward service/whisper-fleet-router 8083:80"
}
