/*
 * dlopen, dlmopen and dlsym as sibling calls: they look at their return address to know which library
 * calls.  Its RUNPATH and $ORIGIN, its namespace, and what RTLD_NEXT means hang on that.  So the real
 * one must be jumped to with the host's own return address on the stack; a C compiler may do
 * that, here it is certain.
 *
 * hooks_before_NAME is called with the same arguments and says where to jump.
 */
#include "base/cet.h"

	.text
	.macro	SIBLING name
	.globl	\name
	.type	\name, @function
\name:
	.cfi_startproc
	ENDBR
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	call	hooks_before_\name
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*%rax
	.cfi_endproc
	.size	\name, . - \name
	.endm

	SIBLING	dlopen
	SIBLING	dlmopen
	SIBLING	dlsym

	.section .note.GNU-stack, "", @progbits
