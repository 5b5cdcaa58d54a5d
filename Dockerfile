# The program alone: `docker build -t foreshore .`, then `docker run foreshore --help`. docs/compose.md shows it at work.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        g++ make pkg-config zlib1g-dev libssl-dev libcurl4-openssl-dev
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package pipeline

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libcurl4 libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/foreshore foreshore
COPY --from=build /source/target/release/foreshore /usr/local/bin/foreshore
USER foreshore
WORKDIR /var/lib/foreshore
ENV FORESHORE_CONFIG=/etc/foreshore.toml
ENTRYPOINT ["foreshore"]
CMD ["run"]
