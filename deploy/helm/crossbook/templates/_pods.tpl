{{/* What all pods have in common. The argument is a dict of the root, the component and perhaps a group. */}}
{{- define "crossbook.podLabels" -}}
{{ include "crossbook.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
worker-group: {{ . }}
{{- end }}
{{- end }}

{{- define "crossbook.podSecurity" -}}
enableServiceLinks: false
automountServiceAccountToken: false
serviceAccountName: {{ include "crossbook.name" .root }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "crossbook.priorityClass" .root }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "crossbook.placement" -}}
{{- $labels := include "crossbook.podLabels" . | fromYaml }}
topologySpreadConstraints:
  {{- if .root.Values.zones }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: DoNotSchedule
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector: { matchLabels: {{ toJson $labels }} }
  {{- end }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector: { matchLabels: {{ toJson $labels }} }
{{ include "crossbook.nodes" . }}
{{- end }}

{{- define "crossbook.nodes" -}}
{{- with .values.nodeSelector -}}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{ end -}}
tolerations:
  {{- range list "not-ready" "unreachable" }}
  - { key: node.kubernetes.io/{{ . }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ int $.root.Values.nodeLossSeconds }} }
  {{- end }}
  {{- with .values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "crossbook.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{/* Startup is not what a probe waits for: /healthz answers while a process restores its state, and /readyz does not. */}}
{{- define "crossbook.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: probes }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: { path: /healthz, port: probes }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: probes }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* The longest that a process takes to stop in order, and some seconds to spare. What is not among the values has the
     default of docs/crossbook.toml. */}}
{{- define "crossbook.graceSeconds" -}}
{{- $settings := .root.Values.settings }}
{{- $server := get $settings "gateway.server.shutdown_timeout_ms" | default 10000 | int }}
{{- $answers := get $settings "gateway.reply_timeout_ms" | default 10000 | int }}
{{- $history := get $settings "history.stop_timeout_ms" | default 10000 | int }}
{{- /* The connections of operators and probes end last; a gateway and a venue serve their clients on before that. */ -}}
{{- $stop := $server }}
{{- if has .component (list "gateway" "venue") }}
{{- /* A second of farewell; then the connections of clients. */ -}}
{{- $drain := get $settings "gateway.server.drain_ms" | default (mul (int .root.Values.gateway.drainSeconds) 1000) | int }}
{{- $stop = add $stop $drain 1000 $server }}
{{- end }}
{{- /* The last traces. */ -}}
{{- if and (has .component (list "gateway" "venue")) (get $settings "traces.sample_one_in") }}
{{- $stop = add $stop (get $settings "traces.export_timeout_ms" | default 5000 | int) }}
{{- end }}
{{- if eq .component "gateway" }}{{ $stop = add $stop $answers }}{{ end }}
{{- if eq .component "venue" }}{{ $stop = add $stop $history (mul (int .root.Values.embedded.stopSeconds) 1000) }}{{ end }}
{{- if eq .component "writer" }}{{ $stop = add $stop $history }}{{ end }}
{{- if eq .component "worker" }}{{ $stop = add $stop (mul (int .root.Values.worker.stopSeconds) 1000) }}{{ end }}
{{- add 5 (div (add $stop 999) 1000) }}
{{- end }}

{{/* Settings that a pod does not share with the others, and secrets. */}}
{{- define "crossbook.environment" -}}
env:
  {{- if has .component (list "gateway" "venue") }}
  - { name: CROSSBOOK_HTTP, value: "0.0.0.0:8080" }
  - { name: CROSSBOOK_ADMIN, value: "0.0.0.0:8081" }
  {{- else }}
  - { name: CROSSBOOK_ADMIN, value: "127.0.0.1:8081" }
  {{- end }}
  - { name: CROSSBOOK_PROBES, value: "0.0.0.0:8082" }
  - { name: CROSSBOOK_LOGGING__FORMAT, value: json }
  {{- if has .component (list "gateway" "venue") }}
  - { name: CROSSBOOK_ADMIN_TOKEN_FILE, value: /etc/crossbook/admin/tokens }
  - name: CROSSBOOK_SECRET_KEY
    valueFrom: { secretKeyRef: { name: {{ .root.Values.secret.name }}, key: {{ .root.Values.secret.secretKeyKey }} } }
  {{- end }}
  {{- if eq .root.Values.mode "cluster" }}
  - name: CROSSBOOK_CLUSTER__REDIS__SERVERS
    valueFrom: { secretKeyRef: { name: {{ .root.Values.secret.name }}, key: {{ .root.Values.secret.storeServersKey }} } }
  {{- end }}
  {{- with .root.Values.region }}
  - { name: AWS_REGION, value: {{ . }} }
  {{- end }}
  {{- if eq .root.Values.history "mysql" }}
  - name: CROSSBOOK_HISTORY__DATABASE
    valueFrom: { secretKeyRef: { name: {{ .root.Values.secret.name }}, key: {{ .root.Values.secret.databaseKey }} } }
  {{- end }}
  {{- range $name, $value := .root.Values.environment }}
  - { name: {{ $name }}, value: {{ $value | quote }} }
  {{- end }}
{{- end }}

{{- define "crossbook.mounts" -}}
volumeMounts:
  - { name: settings, mountPath: /etc/crossbook/settings, readOnly: true }
  - { name: tmp, mountPath: /tmp }
  {{- if has .component (list "gateway" "venue") }}
  - { name: admin, mountPath: /etc/crossbook/admin, readOnly: true }
  {{- end }}
  {{- if and (eq .root.Values.mode "cluster") .root.Values.cluster.store.tlsSecret }}
  - { name: store-tls, mountPath: /etc/crossbook/store-tls, readOnly: true }
  {{- end }}
  {{- range list "http" "admin" }}
  {{- if (index $.root.Values.tls .).enabled }}
  - { name: {{ . }}-tls, mountPath: /etc/crossbook/{{ . }}-tls, readOnly: true }
  {{- end }}
  {{- end }}
  {{- if has .component (list "venue" "backup") }}
  - { name: data, mountPath: /data{{ if eq .component "backup" }}, readOnly: true{{ end }} }
  {{- end }}
  {{- if and (eq .root.Values.mode "cluster") .root.Values.cluster.snapshotClaim }}
  - { name: snapshots, mountPath: /snapshots }
  {{- end }}
{{- end }}

{{- define "crossbook.volumes" -}}
volumes:
  - name: settings
    configMap: { name: {{ include "crossbook.name" .root }} }
  - name: tmp
    emptyDir: { sizeLimit: 1Gi }
  {{- if has .component (list "gateway" "venue") }}
  - name: admin
    secret:
      secretName: {{ .root.Values.secret.name }}
      defaultMode: 0440
      items: [{ key: {{ .root.Values.secret.adminTokensKey }}, path: tokens }]
  {{- end }}
  {{- if and (eq .root.Values.mode "cluster") .root.Values.cluster.store.tlsSecret }}
  - name: store-tls
    secret: { secretName: {{ .root.Values.cluster.store.tlsSecret }}, defaultMode: 0440 }
  {{- end }}
  {{- range $listener := list "http" "admin" }}
  {{- with index $.root.Values.tls $listener }}
  {{- if .enabled }}
  - name: {{ $listener }}-tls
    secret: { secretName: {{ .secretName }}, defaultMode: 0440 }
  {{- end }}
  {{- end }}
  {{- end }}
  {{- if eq .component "backup" }}
  - name: data
    persistentVolumeClaim: { claimName: data-{{ include "crossbook.name" .root }}-0 }
  {{- end }}
  {{- if and (eq .root.Values.mode "cluster") .root.Values.cluster.snapshotClaim }}
  - name: snapshots
    persistentVolumeClaim: { claimName: {{ .root.Values.cluster.snapshotClaim }} }
  {{- end }}
{{- end }}

{{/* A Deployment's template has this, so that changed settings restart its pods. */}}
{{- define "crossbook.podAnnotations" -}}
checksum/settings: {{ include "crossbook.settings" .root | sha256sum }}
{{- end }}
