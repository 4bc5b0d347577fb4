# cmake -DPROGRAM=... -DMODEL=... -P game_loop_test.cmake
cmake_policy(VERSION 3.25)
foreach(budget 0 300 1000000)  # refused; several frames a line; a line a frame
  execute_process(COMMAND ${PROGRAM} ${MODEL} ${budget} OUTPUT_VARIABLE text ERROR_VARIABLE error RESULT_VARIABLE result)
  if(budget EQUAL 0)
    if(NOT result EQUAL 2)
      message(FATAL_ERROR "a budget of 0 gives ${result}, want 2: ${error}")
    endif()
    continue()
  endif()
  if(NOT result MATCHES "^[03]$")  # 3: a slice that took longer
    message(FATAL_ERROR "${result}: ${error}${text}")
  endif()
  foreach(want "Mira the miller: .* makes 432 gold" "Odo the smith: .* 84 gold" "Ines the innkeeper: .* -11" "frames: [1-9]"
               "slices of the model: [1-9]" " [0-9]+ ms +[1-9][0-9]*  #" "budget ${budget} us, tolerance 2000 us: ")
    if(NOT text MATCHES "${want}")
      message(FATAL_ERROR "no '${want}' in:\n${text}")
    endif()
  endforeach()
endforeach()
if(NOT text MATCHES "slices of the model: 3,")  # the last run: time enough for a whole line
  message(FATAL_ERROR "more slices than lines:\n${text}")
endif()
