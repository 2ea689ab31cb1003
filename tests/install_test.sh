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
# The daemons have functions in place of some of libc's; a user's program keeps libc's.
for name in accept4 epoll_ctl epoll_wait; do
    if nm "$scratch/build/my-worker" | grep -E " [TtWw] $name\$"; then
        echo "a program that links curfew::worker gets $name from it" >&2
        exit 1
    fi
done
nm "$build/bin/curfew-worker" | grep -qE ' T accept4$'
