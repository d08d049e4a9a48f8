// Package operations checks the files of docs/operations with the readers that will read
// them: Prometheus' for alerts and what the dashboard asks, Kubernetes' types for the
// manifests, BuildKit and Compose for the containers. What only the service can tell is checked beside the service. It exports
// nothing and is run by its tests alone.
package operations
