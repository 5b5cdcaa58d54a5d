#!/usr/bin/env bash
# Prints the variables that start with $1 as settings: with KAFKA_, KAFKA_LOG_DIRS=x is log.dirs=x.
set -euo pipefail

while IFS='=' read -r name value; do
  printf '%s=%s\n' "$(tr 'A-Z_' 'a-z.' <<<"${name#"$1"}")" "$value"
done < <(env | grep "^$1")
