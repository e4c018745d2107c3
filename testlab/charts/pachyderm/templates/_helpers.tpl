{{- /*
SPDX-License-Identifier: GPL-3.0-or-later
*/ -}}
{{- define "image" -}}
{{ .Values.global.image.registry }}{{ .Values.pachd.image.repository }}:{{ default .Chart.AppVersion .Values.pachd.image.tag }}
{{- end -}}
{{- define "refuse" -}}
{{- if eq .Values.deployTarget "" }}{{ fail "deployTarget must be set" }}{{ end -}}
{{- if eq .Values.fixture.fail "render" }}{{ fail "the fixture was told to fail" }}{{ end -}}
{{- end -}}
