/*
 * ngx_http_phos - what the three files of the module share.
 *
 *     ngx_http_phos_module.c   directives, and nginx's hooks
 *     ngx_http_phos_capture.c  one request: filters, and the event it becomes
 *     ngx_http_phos_worker.c   one worker process: its client, what it says
 */
#ifndef NGX_HTTP_PHOS_H
#define NGX_HTTP_PHOS_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <phos/phos.h>

/* 100 %, in hundredths of a percent. */
#define NGX_HTTP_PHOS_SAMPLE_ALL 10000

enum {
    NGX_HTTP_PHOS_CAPTURE_NONE = 1,
    NGX_HTTP_PHOS_CAPTURE_INPUT = 2,
    NGX_HTTP_PHOS_CAPTURE_OUTPUT = 4
};

typedef struct {
    ngx_str_t endpoint;
    ngx_str_t api_key_file;
    ngx_str_t api_key; /* what the file or the environment says */
    ngx_str_t project_id;
    ngx_int_t sample; /* in hundredths of a percent */
    ngx_msec_t close_timeout;
    size_t text_max;   /* the largest of all locations */
    unsigned used : 1; /* it is on somewhere */
} ngx_http_phos_main_conf_t;

typedef struct {
    ngx_flag_t enable;
    ngx_uint_t capture;
    size_t text_max;
    ngx_http_complex_value_t *session_id;
    ngx_http_complex_value_t *user_id;
    ngx_http_complex_value_t *provider;
} ngx_http_phos_loc_conf_t;

extern ngx_module_t ngx_http_phos_module;

/* ---- one request ---- */

/* Puts the filters and the handler of the log phase in their places. */
ngx_int_t ngx_http_phos_capture_init(ngx_conf_t *cf);

/* The event's id as text, made at the first call; empty without an event. */
ngx_int_t ngx_http_phos_event_id(ngx_http_request_t *r,
                                 ngx_http_variable_value_t *v, uintptr_t data);

/* ---- one worker process ---- */

/* Never fails: without a client requests are served and not logged. */
void ngx_http_phos_worker_open(ngx_cycle_t *cycle,
                               ngx_http_phos_main_conf_t *conf);
void ngx_http_phos_worker_close(ngx_cycle_t *cycle,
                                ngx_http_phos_main_conf_t *conf);

/* Whether there is a client; without one nothing needs to be captured. */
ngx_flag_t ngx_http_phos_worker_is_open(void);

void ngx_http_phos_worker_log(const phos_event *event);
/* Counts a request that was captured and is no interaction. */
void ngx_http_phos_worker_skip(void);

#endif
