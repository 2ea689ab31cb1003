# Makes the source file that holds the page: cmake -DOUT=FILE -DPAGE=FOLDER -DDYGRAPHS=FOLDER -P embed.cmake
set(arrays "")
set(entries "")
function(embed path type file)
    file(READ "${file}" bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
    string(MAKE_C_IDENTIFIER "${path}" name)
    set(arrays "${arrays}const char of${name}[] = {${bytes}'\\0'};\n" PARENT_SCOPE)
    set(entries "${entries}    {\"${path}\", \"${type}\", {of${name}, sizeof of${name} - 1}},\n" PARENT_SCOPE)
endfunction()
embed("/" "text/html" "${PAGE}/index.html")
embed("/task.html" "text/html" "${PAGE}/task.html")
foreach(script words feeds books tables racing ring charts app task)
    embed("/${script}.js" "text/javascript" "${PAGE}/${script}.js")
endforeach()
embed("/style.css" "text/css" "${PAGE}/style.css")
embed("/task.css" "text/css" "${PAGE}/task.css")
embed("/dygraph.js" "text/javascript" "${DYGRAPHS}/dygraph.min.js")
embed("/dygraph.css" "text/css" "${DYGRAPHS}/dygraph.min.css")
file(WRITE "${OUT}" "#include \"monitor/page_files.h\"

namespace {

${arrays}
const curfew::PageFile files[] = {
${entries}};

}  // namespace

std::span<const curfew::PageFile> curfew::page_files() {
    return files;
}
")
