"""nginx, the limit: one worker, connections to upstream kept alive, nothing buffered, an access log as by default."""

from __future__ import annotations

import getpass
import os
from functools import partial
from pathlib import Path

from bench import machine
from bench.peers.peer import Route, Running, started
from bench.peers.process import HOST, Process, on_free_port

# By default nginx closes a connection after 1,000 requests and opens 512 connections at most: both are raised, so that
# it is measured at its best. Its buffers are as they come.
_CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{
    worker_connections {connections};
}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests 100000000;
    upstream provider {{
        server {upstream};
        keepalive 64;
        keepalive_requests 100000000;
    }}
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Host {upstream};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"""
_CONNECTIONS = 8_192


class Nginx:
    name = "nginx"

    def missing(self) -> str | None:
        return None if machine.find("nginx") else "nginx is not installed: apt-get install nginx"

    def lacks(self, workload: str, route: str) -> str | None:
        return "nginx can't reach upstream through a CONNECT proxy" if route == "squid" else None

    def start(self, route: Route, folder: Path, core: int) -> Running:
        return on_free_port(partial(self._start, route, folder, core))

    def _start(self, route: Route, folder: Path, core: int, port: int) -> Running:
        program = machine.find("nginx")
        assert program is not None
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                # As root it would become another user, who can't reach the folder.
                user=f"user {getpass.getuser()};" if os.getuid() == 0 else "",
                folder=folder,
                files=_CONNECTIONS * 2,
                connections=_CONNECTIONS,
                upstream=f"{route.upstream_host}:{route.upstream_port}",
                host=HOST,
                port=port,
            )
        )
        # `-e`: even before it has read its configuration it would open the log that was built in.
        command = [program, "-e", str(folder / "error.log"), "-c", str(configuration)]
        process = Process(self.name, command, folder, core)
        return started(process, lambda process: process.accepts(port))
