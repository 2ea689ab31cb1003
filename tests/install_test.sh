#!/bin/sh
# Installs into a temporary prefix and builds the example worker against it, as a user of curfew::worker would.
set -eu
build=$1 source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
mkdir "$scratch/user"
cp "$source/examples/function/worker.cpp" "$scratch/user"
cat >"$scratch/user/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES CXX)
find_package(curfew REQUIRED)
add_executable(my-worker worker.cpp)
target_link_libraries(my-worker PRIVATE curfew::worker)
TEXT
cmake -G Ninja -S "$scratch/user" -B "$scratch/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/build"
"$scratch/build/my-worker" --version
"$scratch/prefix/bin/curfew-broker" --version
