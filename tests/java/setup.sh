#!/bin/sh
# Fetches the decoders of pom.xml from Maven Central into $LZR_ENVS/java/lib and compiles the client
# into $LZR_ENVS/java/classes (LZR_ENVS: default build/envs of the checkout). A second run takes a
# fraction of a second. Needs: openjdk-17-jdk-headless, maven, libblosc1 (jblosc calls it through JNA).
set -eu

. "$(dirname "$0")/../envs.sh"

skip() {
    missing "$1; the Java tests are skipped"
    exit 0
}

command -v javac >/dev/null || skip "javac (apt-get install openjdk-17-jdk-headless)"
ldconfig -p 2>/dev/null | grep -q 'libblosc\.so\.1' ||
    /sbin/ldconfig -p | grep -q 'libblosc\.so\.1' || skip "libblosc (apt-get install libblosc1)"

mkdir -p "$envs/java"
want=$(sha256sum <"$here/pom.xml")
if [ "$(cat "$envs/java/.lib" 2>/dev/null)" != "$want" ]; then
    command -v mvn >/dev/null || skip "mvn (apt-get install maven)"
    echo "java/setup.sh: fetching the decoders"
    rm -rf "$envs/java/lib"
    mvn -q -B -C -Dstyle.color=never -f "$here/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$envs/java/lib" || {
        rm -rf "$envs/java/lib"
        skip "the decoders (mvn could not fetch them from Maven Central)"
    }
    (cd "$envs/java/lib" && sha256sum --quiet --strict -c "$here/jars.sha256") || {
        echo "java/setup.sh: what came from Maven Central isn't what tests/java/jars.sha256 says" >&2
        rm -rf "$envs/java/lib"
        exit 1
    }
    echo "$want" >"$envs/java/.lib"
fi

want=$(cat "$here/pom.xml" "$here"/*.java | sha256sum; javac -version 2>&1)
if [ "$(cat "$envs/java/.classes" 2>/dev/null)" != "$want" ]; then
    echo "java/setup.sh: compiling the client"
    rm -rf "$envs/java/classes"
    javac --release 17 -Xlint:all -Werror -encoding UTF-8 -cp "$envs/java/lib/*" \
        -d "$envs/java/classes" "$here"/*.java
    echo "$want" >"$envs/java/.classes"
fi
echo "java/setup.sh: ready in $envs/java"
