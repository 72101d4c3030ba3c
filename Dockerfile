# The image, on Alpine or Debian. `scripts/build-image` builds it with what this machine has; by hand it takes
#
#   docker build .
#   docker build --build-arg BASE=debian:bookworm .
#
# /run/secrets tells steps of the build how to reach package sources; it is no part of the image and may be empty.
ARG BASE=alpine:3.23

# What the gateway runs on.
FROM ${BASE} AS platform
COPY MANIFEST MANIFEST.debian scripts/install-packages /usr/local/share/vnf-ipsec/
RUN --mount=type=secret,id=apt.conf --mount=type=secret,id=sources.list --mount=type=secret,id=ca.pem \
    /usr/local/share/vnf-ipsec/install-packages

FROM platform AS build
RUN --mount=type=secret,id=apt.conf --mount=type=secret,id=sources.list --mount=type=secret,id=ca.pem \
    /usr/local/share/vnf-ipsec/install-packages binutils npm
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc --mount=type=secret,id=ca.pem \
    [ ! -s /run/secrets/ca.pem ] || export NODE_EXTRA_CA_CERTS=/run/secrets/ca.pem; \
    npm ci --userconfig /run/secrets/npmrc --no-audit --no-fund
COPY . .
RUN scripts/furnish-image /image

FROM platform
COPY --from=build /image/ /
LABEL org.opencontainers.image.title="vnf-ipsec" \
      org.opencontainers.image.description="Site-to-site IPsec VPN gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["vnf-ipsec", "healthcheck"]
ENTRYPOINT ["tini", "--", "vnf-ipsec"]
CMD ["run"]
