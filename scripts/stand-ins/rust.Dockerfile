FROM debian:12-slim
COPY foreshore /usr/local/share/foreshore
COPY cargo.sh /usr/local/bin/cargo
