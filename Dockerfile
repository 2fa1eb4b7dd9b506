# syntax=docker/dockerfile:1
#
# The image holds three files: the program, the certificates of the public authorities, and the time zones. It needs no
# shell and no privileges, and the demonstration no writable folder:
#
#   docker run --read-only --cap-drop ALL -p 8080:8080 sluice
#
# With a configuration of yours the ledger is written to a volume, or to one and PostgreSQL: see deploy/fleet.
#
#   docker run --read-only --cap-drop ALL -p 8080:8080 -v "$PWD/my:/etc/sluice:ro" -v sluice:/data \
#     -e SLUICE_CONFIG=/etc/sluice/sluice.yaml -e SLUICE_STORES_LEDGER=sqlite:/data/ledger.db -e OPENAI_API_KEY sluice

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION" && mkdir /data

FROM scratch
ARG VERSION=devel
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A gateway for large language models" \
      org.opencontainers.image.source="https://github.com/sluice-ai/sluice" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"

COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /
COPY --from=build /src/bin/sluice /
COPY --from=build --chown=65532:65532 --chmod=700 /data /data

# Inside a container "this machine only" would be nobody: both listeners are open, and what is published decides. The
# journal is in /data, whatever the configuration says: nothing else can be written to.
ENV ZONEINFO=/zoneinfo.zip \
    SLUICE_SERVER_LISTEN=:8080 \
    SLUICE_SERVER_ADMIN_LISTEN=:9090 \
    SLUICE_STORES_WAL_DIR=/data/wal
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s CMD ["/sluice", "healthcheck"]
ENTRYPOINT ["/sluice"]
CMD ["serve"]
