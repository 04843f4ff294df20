# Stands in for the library that unwinds stacks: a panic aborts, so nothing calls it, but start-up
# code and Rust's library name it, and it would bring printf() with it.

.macro absent name
.globl \name
\name:
.endm

.text
absent __aeabi_unwind_cpp_pr0
absent __aeabi_unwind_cpp_pr1
absent __aeabi_unwind_cpp_pr2
absent __gnu_unwind_frame
absent _Unwind_Backtrace
absent _Unwind_DeleteException
absent _Unwind_FindEnclosingFunction
absent _Unwind_GetCFA
absent _Unwind_GetDataRelBase
absent _Unwind_GetGR
absent _Unwind_GetIP
absent _Unwind_GetIPInfo
absent _Unwind_GetLanguageSpecificData
absent _Unwind_GetRegionStart
absent _Unwind_GetTextRelBase
absent _Unwind_RaiseException
absent _Unwind_Resume
absent _Unwind_SetGR
absent _Unwind_SetIP
absent _Unwind_VRS_Get
absent _Unwind_VRS_Set
.space 4
