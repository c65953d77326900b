/* SPDX-License-Identifier: MIT */
#ifndef GL_FS_TREE_H
#define GL_FS_TREE_H

/* Removes whatever is at `path`, a folder with all that is in it. Links are removed, never followed. On a pool
 * thread. 0 or -errno. */
int gl_fs_remove_tree(const char *path);

#endif
