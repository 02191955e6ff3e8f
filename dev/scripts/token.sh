#!/usr/bin/env bash
# Prints a token to try a shop that asks for tokens. The key that signs it is made on first use, and kept in FOLDER beside
# keys.json, the key set for JWT_JWKS_FILE. Anyone who can read FOLDER can make tokens.
#
#   dev/scripts/token.sh FOLDER SUBJECT [SCOPE]...
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 FOLDER SUBJECT [SCOPE]..." >&2; exit 2; }
folder=$1 subject=$2
shift 2

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

mkdir -p "$folder"
if [ ! -e "$folder/key.pem" ]; then
    (umask 077 && openssl genpkey -algorithm ed25519 -out "$folder/key.pem")
    public=$(openssl pkey -in "$folder/key.pem" -pubout -outform DER | tail -c 32 | base64url)
    printf '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"%s"}]}\n' "$public" >"$folder/keys.json"
fi

claims=$(jq -cn --arg sub "$subject" --arg scope "$*" \
    '{ iss: "local", aud: "shop", sub: $sub, scope: $scope, exp: (now + 86400 | floor) }')
signed=$(printf '{"alg":"EdDSA"}' | base64url).$(printf '%s' "$claims" | base64url)
printf '%s' "$signed" >"$folder/signed"
printf '%s.%s\n' "$signed" "$(openssl pkeyutl -sign -inkey "$folder/key.pem" -rawin -in "$folder/signed" | base64url)"
rm -f "$folder/signed"
