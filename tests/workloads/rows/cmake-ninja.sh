#: expect
100% tests passed, 0 tests failed out of 1
#: alike
s/ +[0-9.]+ sec/ N sec/; s/^-- (Configuring|Generating) done.*/-- \1 done/; s/^\[[0-9]+\/[0-9]+\]/[N]/
#: setup
cat >CMakeLists.txt <<'X'
cmake_minimum_required(VERSION 3.13)
project(p CXX)
enable_testing()
add_library(l STATIC l.cpp)
add_executable(p p.cpp)
target_link_libraries(p l)
add_test(NAME t COMMAND p)
X
echo 'int f() { return 7; }' >l.cpp
printf '#include <iostream>\n#include <thread>\nint f();\nint main() { std::thread([] { std::cout << "f " << f() << std::endl; }).join(); }\n' >p.cpp
#: run
cmake -G Ninja -S . -B build
ninja -C build -j2 | sort
build/p
cd build && ctest
