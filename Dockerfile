# syntax=docker/dockerfile:1

# Millpond's one binary. Migrations are inside it; jobs.toml is a file of the image, to be mounted over.

FROM rust:1.95-bookworm AS builder
RUN apt-get update \
 && apt-get install --yes --no-install-recommends mold \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Statements were checked against a database when .sqlx was written; the build needs none.
ENV SQLX_OFFLINE=true
# What millpond_build_info and --version name; .git is not here to ask.
ARG MILLPOND_COMMIT=unknown
# The cached target folder is gone after this step, so the binary is moved out within it.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package cli \
 && install -D target/release/millpond /out/millpond

FROM debian:bookworm-slim
# No package is installed here: Millpond brings its own roots for TLS, and the bundle is for what wants
# a file of them (sslrootcert in DATABASE_URL).
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN groupadd --gid 10001 millpond \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin millpond
COPY --from=builder /out/millpond /usr/local/bin/millpond
COPY jobs.toml /etc/millpond/jobs.toml
USER 10001:10001
ENV MILLPOND_CONFIG=/etc/millpond/jobs.toml \
    MILLPOND_HTTP_ADDR=0.0.0.0:8080
EXPOSE 8080
# No HEALTHCHECK: what healthy means depends on the command, so whoever runs it asks /readyz.
ENTRYPOINT ["millpond"]
CMD ["serve"]
