"""Series of other programs that rules and dashboards read. `make observe` shows that their exporters have them, but for
those of kube-state-metrics, which are in its documents."""

PROMETHEUS = {"up", "ALERTS"}

REDIS = {
    "redis_aof_enabled",
    "redis_aof_last_write_status",
    "redis_commands_processed_total",
    "redis_commands_duration_seconds_total",
    "redis_connected_clients",
    "redis_connected_slaves",
    "redis_instance_info",
    "redis_memory_max_bytes",
    "redis_memory_used_bytes",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_up",
}

MYSQLD = {
    "mysql_global_status_commands_total",
    "mysql_global_status_queries",
    "mysql_global_status_threads_connected",
    "mysql_global_status_threads_running",
    "mysql_global_variables_max_connections",
    "mysql_up",
}

NODE = {
    "node_cpu_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_disk_written_bytes_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
}

KUBERNETES = {
    "kube_cronjob_created",
    "kube_cronjob_status_last_successful_time",
    "kube_job_status_failed",
    "kube_job_status_start_time",
}

ALL = PROMETHEUS | REDIS | MYSQLD | NODE | KUBERNETES
