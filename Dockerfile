# Two stages: the first installs the package into a virtual environment, the second carries only that environment.
# The sidecar needs no shell, no compiler, no package manager, and runs on a read-only root as an unprivileged user.
FROM python:3.13-slim AS builder
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY tests/constraints.txt ./constraints.txt
RUN python -m venv /opt/stagewarden \
 && /opt/stagewarden/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt . \
 && /opt/stagewarden/bin/python -m compileall -q /opt/stagewarden/lib \
 && /opt/stagewarden/bin/pip uninstall --yes pip

FROM python:3.13-slim
LABEL org.opencontainers.image.title="stagewarden" \
      org.opencontainers.image.description="An Open Policy Agent-backed authorization sidecar for AI agents" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opt/stagewarden /opt/stagewarden
# /etc/stagewarden: configuration, registry, secrets (mounted read-only). /var/lib/stagewarden: state, audit log, stop file (a volume).
RUN mkdir -p /etc/stagewarden /var/lib/stagewarden && chown 10001:10001 /var/lib/stagewarden && chmod 0700 /var/lib/stagewarden
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/stagewarden
VOLUME /var/lib/stagewarden
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/stagewarden/bin/stagewarden"]
CMD ["serve", "--config", "/etc/stagewarden/stagewarden.yaml"]
