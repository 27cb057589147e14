# syntax=docker/dockerfile:1
# Two stages: wheels are built in the first, the second holds Python, the wheels' contents and the application, no compiler.
# Pin the base by digest in your own registry; the tag here follows security updates.
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock ./
RUN pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock

FROM python:3.13-slim
LABEL org.opencontainers.image.title="mcpkit" \
      org.opencontainers.image.description="An MCP server on FastAPI: every protocol revision on one endpoint" \
      org.opencontainers.image.licenses="MIT"
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MCP_SERVER_HOST=0.0.0.0 \
    MCP_SERVER_PORT=12000 \
    MCP_FILES_ROOT=/data/files \
    MCP_DATABASE_PATH=/data/app.db
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links=/wheels /wheels/*.whl \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin mcp \
    && install -d -o 10001 -g 10001 /data
WORKDIR /app
COPY mcp_server.py ./
COPY mcpkit ./mcpkit
COPY routers ./routers
USER 10001
VOLUME /data
EXPOSE 12000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"MCP_SERVER_PORT\"]}/healthz', timeout=2)"]
CMD ["python", "mcp_server.py"]
