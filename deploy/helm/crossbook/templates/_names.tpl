{{- define "crossbook.name" -}}
{{- if contains "crossbook" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-crossbook" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "crossbook.selector" -}}
app.kubernetes.io/name: crossbook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* A PriorityClass is of the whole Kubernetes, so its name has the namespace in it. */}}
{{- define "crossbook.priorityClass" -}}
{{- with .Values.priorityClass }}
{{- if .name }}{{ .name }}{{ else if .create }}{{ printf "%s-%s" $.Release.Namespace (include "crossbook.name" $) }}{{ end }}
{{- end }}
{{- end }}

{{- define "crossbook.labels" -}}
{{ include "crossbook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "crossbook.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* A value as TOML has it. Numbers of a values file are floats to Helm, and there is no setting with a fraction. */}}
{{- define "crossbook.toml" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* The settings file: what the chart decides, then what the values say. */}}
{{- define "crossbook.settings" -}}
{{- $own := dict "gateway.server.drain_ms" (mul .Values.gateway.drainSeconds 1000) }}
{{- if eq .Values.mode "cluster" }}
{{- $_ := set $own "cluster.partitions" .Values.cluster.partitions }}
{{- $_ := set $own "cluster.redis.venue" .Values.cluster.venue }}
{{- $_ := set $own "cluster.redis.replicas_min" .Values.cluster.store.replicasMin }}
{{- $_ := set $own "cluster.snapshots.address" .Values.cluster.snapshots }}
{{- if .Values.cluster.store.tlsSecret }}
{{- $_ := set $own "cluster.redis.ca_file" "/etc/crossbook/store-tls/ca.crt" }}
{{- if .Values.cluster.store.clientCertificate }}
{{- $_ := set $own "cluster.redis.client_certificate_file" "/etc/crossbook/store-tls/tls.crt" }}
{{- $_ := set $own "cluster.redis.client_key_file" "/etc/crossbook/store-tls/tls.key" }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne .Values.history "mysql" }}
{{- $_ := set $own "history.database" .Values.history }}
{{- end }}
{{- range list "http" "admin" }}
{{- if (index $.Values.tls .).enabled }}
{{- $section := eq . "http" | ternary "gateway.tls" "gateway.admin_tls" }}
{{- $_ := set $own (printf "%s.certificate_file" $section) (printf "/etc/crossbook/%s-tls/tls.crt" .) }}
{{- $_ := set $own (printf "%s.key_file" $section) (printf "/etc/crossbook/%s-tls/tls.key" .) }}
{{- end }}
{{- end }}
{{- $all := merge (dict) .Values.settings $own }}
{{- range $key := keys $all | sortAlpha -}}
{{ $key }} = {{ include "crossbook.toml" (index $all $key) }}
{{ end }}
{{- end }}
