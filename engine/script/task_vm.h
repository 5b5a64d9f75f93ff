/* What the VM itself needs of script/task.c, and nobody else. */
#ifndef DEX_SCRIPT_TASK_VM_H
#define DEX_SCRIPT_TASK_VM_H

struct list;
struct task;
struct vm;

/* The task whose place in vm->tasks this is. */
struct task *task_at(struct list *node);

/* Runs the cleanup of every task that waits; none continues. Before the Lua state is closed. */
void task_abandon_all(struct vm *vm);

/* Frees every task that nobody freed. After the Lua state is closed. */
void task_release_all(struct vm *vm);

#endif
