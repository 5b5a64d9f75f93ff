/*
 * An intrusive doubly linked list: the node is a field of what is listed. A head and a node that is
 * in no list both point to themselves, so removing twice is harmless.
 */
#ifndef DEX_BASE_LIST_H
#define DEX_BASE_LIST_H

#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The struct of `type` whose member `field` is the node `ptr`. */
#define list_entry(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

/* Goes through a list; the current node may be removed in the body, others may not. */
#define list_each(it, head)                                                                        \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)

/* Makes an empty head, or a node that is in no list. */
static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

/* Whether nothing is listed. */
static inline int list_empty(const struct list *head)
{
    return head->next == head;
}

/* The first node, or NULL. */
static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* Takes a node out of its list, if it is in one. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* Adds a node, which must be in no list, at the end. */
static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
