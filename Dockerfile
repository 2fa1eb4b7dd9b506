# syntax=docker/dockerfile:1
#
# The image holds three files: the program, the certificates of the public authorities, and the time zones. It needs no
# shell, no writable folder and no privileges:
#
#   docker run --read-only --cap-drop ALL -p 8080:8080 sluice

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY . .
ARG TARGETOS TARGETARCH VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION"

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

# Inside a container "this machine only" would be nobody: both listeners are open, and what is published decides.
ENV ZONEINFO=/zoneinfo.zip \
    SLUICE_SERVER_LISTEN=:8080 \
    SLUICE_SERVER_ADMIN_LISTEN=:9090
EXPOSE 8080 9090
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --start-interval=1s CMD ["/sluice", "healthcheck"]
ENTRYPOINT ["/sluice"]
CMD ["serve"]
