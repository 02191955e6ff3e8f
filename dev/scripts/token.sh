#!/usr/bin/env bash
# Prints a token to try a shop that asks for tokens, valid for a day. The key that signs it is made on first use, and kept in
# FOLDER beside keys.json, the key set for JWT_JWKS_FILE.
#
#   dev/scripts/token.sh FOLDER SUBJECT [SCOPE]...
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 FOLDER SUBJECT [SCOPE]..." >&2; exit 2; }
folder=$1 subject=$2
shift 2

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# Anyone who can read the key can make tokens.
umask 077
mkdir -p "$folder"
[ -e "$folder/key.pem" ] || openssl genpkey -algorithm ed25519 -out "$folder/key.pem"
public=$(openssl pkey -in "$folder/key.pem" -pubout -outform DER | tail -c 32 | base64url)
printf '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}\n' "$public" >"$folder/keys.json"

claims=$(jq -cn --arg sub "$subject" --arg scope "$*" \
    '{ iss: "local", aud: "shop", sub: $sub, scope: $scope, exp: (now + 86400 | floor) }')
signed=$(printf '{"alg":"EdDSA"}' | base64url).$(printf '%s' "$claims" | base64url)
input=$(mktemp)
trap 'rm -f "$input"' EXIT
printf '%s' "$signed" >"$input"
printf '%s.%s\n' "$signed" "$(openssl pkeyutl -sign -inkey "$folder/key.pem" -rawin -in "$input" | base64url)"
