{{- define "fleet.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- /* What selects a pod; never changes for a release. Call with (list . "router"). */ -}}
{{- define "fleet.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "fleet.labels" -}}
{{- $root := index . 0 -}}
{{ include "fleet.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{- define "fleet.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $tag := $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- $cuda := and (eq $image $root.Values.worker.image) $root.Values.worker.gpu.enabled -}}
{{- with $root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ else }}whisper-fleet-{{ end }}{{ $image }}:{{ $tag }}{{ if $cuda }}-cuda{{ end }}
{{- end }}

{{- define "fleet.secret" -}}
{{ .Values.auth.existingSecret | default (include "fleet.name" .) }}
{{- end }}

{{- /* One value of the Secret as a variable. Call with (list . NAME KEY). */ -}}
{{- define "fleet.fromSecret" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "fleet.secret" $root }}
      key: {{ index . 2 }}
      {{- if eq (index . 2) "admin-key" }}
      optional: true
      {{- end }}
{{- end }}

{{- define "fleet.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "fleet.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What every pod has: no token of the cluster, no variables named after other Services, spread over nodes. */ -}}
{{- define "fleet.pod" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "fleet.podSecurity" $root | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if ne $part "pull" }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "fleet.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{- define "fleet.placement" -}}
{{- with .nodeSelector -}}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* model.pull with auto decided: what is embedded, scripted or a directory needs no pull. */ -}}
{{- define "fleet.pull" -}}
{{- $local := or (eq .Values.model.name "spoken-digits") (hasPrefix "fake:" .Values.model.name) (hasPrefix "/" .Values.model.name) -}}
{{- if ne .Values.model.pull "auto" }}{{ .Values.model.pull }}
{{- else if $local }}none
{{- else if eq .Values.model.cache.type "pvc" }}job
{{- else }}init
{{- end }}
{{- end }}

{{- /* Not empty where a volume is mounted over /models, which would hide a model baked into the image. */ -}}
{{- define "fleet.hasCache" -}}
{{- if or (ne (include "fleet.pull" .) "none") (ne .Values.model.cache.type "emptyDir") }}yes{{ end }}
{{- end }}

{{- define "fleet.cacheVolume" -}}
- name: models
  {{- with .Values.model.cache }}
  {{- if eq .type "pvc" }}
  persistentVolumeClaim:
    claimName: {{ .existingClaim | default (printf "%s-models" (include "fleet.name" $)) }}
  {{- else if eq .type "hostPath" }}
  hostPath:
    path: {{ .hostPath }}
    type: DirectoryOrCreate
  {{- else }}
  emptyDir:
    sizeLimit: {{ .size }}
  {{- end }}
  {{- end }}
{{- end }}

{{- /* Says that this very model was pulled to the end; half a pull leaves none. */ -}}
{{- define "fleet.pulled" -}}
/models/.pulled-{{ .Values.model.name | sha256sum | trunc 12 }}
{{- end }}

{{- /* Pulls the model. Call with (list . NAME-OF-CONTAINER). */ -}}
{{- define "fleet.pullContainer" -}}
{{- $root := index . 0 -}}
- name: {{ index . 1 }}
  image: {{ include "fleet.image" (list $root $root.Values.worker.image) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [sh, -ec, 'test -e "$PULLED" || { whisper-fleet models pull "$MODEL"; touch "$PULLED"; }']
  env:
    - { name: MODEL, value: {{ $root.Values.model.name | quote }} }
    - { name: MODEL_DIR, value: /models }
    - { name: HF_HOME, value: /tmp/hub }
    - { name: PULLED, value: {{ include "fleet.pulled" $root }} }
  resources:
    requests: { cpu: 100m, memory: 256Mi }
    limits: { memory: 1Gi }
  securityContext:
    {{- include "fleet.containerSecurity" $root | nindent 4 }}
  volumeMounts:
    - { name: models, mountPath: /models }
    - { name: tmp, mountPath: /tmp }
{{- end }}

{{- /* What cannot be meant together, said before anything is installed. */ -}}
{{- define "fleet.check" -}}
{{- if and (eq (include "fleet.pull" .) "job") (ne .Values.model.cache.type "pvc") }}
{{- fail "model.pull=job pulls into a volume that all workers share: set model.cache.type=pvc, or model.pull=init" }}
{{- end }}
{{- if and (ne .Values.autoscaling.type "none") (gt (int .Values.autoscaling.min) (int .Values.autoscaling.max)) }}
{{- fail "autoscaling.min is greater than autoscaling.max" }}
{{- end }}
{{- if and .Values.auth.open .Values.auth.keysSecret }}
{{- fail "auth.open serves without keys and auth.keysSecret names them: set one of the two" }}
{{- end }}
{{- if and (eq .Values.jobs.type "sqlite") (gt (int .Values.router.replicas) 1) }}
{{- fail "jobs.type=sqlite is one router's own file: set router.replicas=1, or jobs.type=postgres" }}
{{- end }}
{{- range $what, $is := dict "jobs" (eq .Values.jobs.type "postgres") "cache" (eq .Values.cache.type "redis") }}
{{- if and $is (not (index $.Values $what).urlSecret) }}
{{- fail (printf "%s.type=%s: set %s.urlSecret to the Secret that holds %s-url" $what (index $.Values $what).type $what $what) }}
{{- end }}
{{- if and $is $.Values.networkPolicy.enabled (not $.Values.networkPolicy.routerEgress) }}
{{- fail (printf "%s.type=%s: the router may reach its workers only; add where to reach to networkPolicy.routerEgress" $what (index $.Values $what).type) }}
{{- end }}
{{- end }}
{{- if and .Values.wyoming.key (not .Values.auth.keysSecret) }}
{{- fail "wyoming.key names a key in the file of auth.keysSecret, which is not set" }}
{{- end }}
{{- if and .Values.wyoming.enabled (not (or .Values.auth.open .Values.wyoming.open .Values.wyoming.key)) }}
{{- fail "Wyoming's clients can send no key: set wyoming.key to a name in auth.keysSecret, or wyoming.open=true" }}
{{- end }}
{{- end }}
