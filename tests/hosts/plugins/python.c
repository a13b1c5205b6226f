/* import hosted: hosted.work(rounds). */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernel.h"

static PyObject *work(PyObject *self, PyObject *rounds)
{
	(void)self;
	return PyLong_FromUnsignedLongLong(hosted_work(PyLong_AsUnsignedLongLong(rounds)));
}

static PyMethodDef methods[] = { { "work", work, METH_O, NULL }, { NULL, NULL, 0, NULL } };
static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT,
	.m_name = "hosted",
	.m_methods = methods,
};

PyMODINIT_FUNC PyInit_hosted(void)
{
	return PyModule_Create(&module);
}
