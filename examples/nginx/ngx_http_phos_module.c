/*
 * ngx_http_phos_module - logs chat requests and their answers through libphos.
 * README.md has the directives; this file reads them and hooks into nginx.
 */
#include "ngx_http_phos.h"

enum {
    TEXT_MAX_DEFAULT = 65536,
    TEXT_MAX_LIMIT = 1048576,
    KEY_BYTES_MAX = 4096,
    /* With Debian's systemd unit a graceful stop has five seconds in all. */
    CLOSE_TIMEOUT_MS = 3000
};

/* ---- directives ---- */

static ngx_conf_bitmask_t captures[] = {
    { ngx_string("none"), NGX_HTTP_PHOS_CAPTURE_NONE },
    { ngx_string("input"), NGX_HTTP_PHOS_CAPTURE_INPUT },
    { ngx_string("output"), NGX_HTTP_PHOS_CAPTURE_OUTPUT },
    { ngx_null_string, 0 }
};

static char *read_text_max(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_http_phos_loc_conf_t *own = conf;
    char *problem = ngx_conf_set_size_slot(cf, command, conf);

    if (problem == NGX_CONF_OK && own->text_max > TEXT_MAX_LIMIT)
        return "is more than 1m";
    return problem;
}

static char *read_sample(ngx_conf_t *cf, ngx_command_t *command, void *conf)
{
    ngx_http_phos_main_conf_t *own = conf;
    ngx_str_t *value = &((ngx_str_t *)cf->args->elts)[1];

    if (own->sample != NGX_CONF_UNSET)
        return "is duplicate";
    if (value->len < 2 || value->data[value->len - 1] != '%')
        return "is not a percentage, such as 12.5%";
    own->sample = ngx_atofp(value->data, value->len - 1, 2);
    if (own->sample == NGX_ERROR || own->sample > NGX_HTTP_PHOS_SAMPLE_ALL)
        return "is not between 0% and 100%";
    return NGX_CONF_OK;
}

#define ANY_PLACE NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF

static ngx_command_t commands[] = {
    { ngx_string("phos_endpoint"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_phos_main_conf_t, endpoint), NULL },
    { ngx_string("phos_api_key_file"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_phos_main_conf_t, api_key_file), NULL },
    { ngx_string("phos_project_id"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_str_slot, NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_phos_main_conf_t, project_id), NULL },
    { ngx_string("phos_sample"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      read_sample, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL },
    { ngx_string("phos_close_timeout"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot, NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_phos_main_conf_t, close_timeout), NULL },

    { ngx_string("phos"), ANY_PLACE | NGX_CONF_FLAG, ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_http_phos_loc_conf_t, enable),
      NULL },
    { ngx_string("phos_capture"), ANY_PLACE | NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_phos_loc_conf_t, capture), captures },
    { ngx_string("phos_max_text_size"), ANY_PLACE | NGX_CONF_TAKE1,
      read_text_max, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_phos_loc_conf_t, text_max), NULL },
    { ngx_string("phos_session_id"), ANY_PLACE | NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_phos_loc_conf_t, session_id), NULL },
    { ngx_string("phos_user_id"), ANY_PLACE | NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_phos_loc_conf_t, user_id), NULL },
    { ngx_string("phos_provider"), ANY_PLACE | NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot, NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_phos_loc_conf_t, provider), NULL },
    ngx_null_command
};

static ngx_http_variable_t variables[] = { { ngx_string("phos_event_id"), NULL,
                                             ngx_http_phos_event_id, 0,
                                             NGX_HTTP_VAR_NOCACHEABLE, 0 },
                                           ngx_http_null_variable };

/* ---- the key ---- */

/* By the master, before it forks: it may read what its workers may not, and
 * their environment is swept. */
static ngx_int_t read_key_file(ngx_conf_t *cf, ngx_http_phos_main_conf_t *conf)
{
    u_char key[KEY_BYTES_MAX];
    ssize_t length;
    ngx_fd_t fd;

    if (ngx_conf_full_name(cf->cycle, &conf->api_key_file, 1) != NGX_OK)
        return NGX_ERROR;
    fd = ngx_open_file(conf->api_key_file.data, NGX_FILE_RDONLY, NGX_FILE_OPEN,
                       0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot open phos_api_key_file \"%V\"",
                           &conf->api_key_file);
        return NGX_ERROR;
    }
    length = ngx_read_fd(fd, key, sizeof(key));
    ngx_close_file(fd);
    while (length > 0 && key[length - 1] <= ' ')
        length--;
    if (length <= 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "phos_api_key_file \"%V\" holds no key",
                           &conf->api_key_file);
        return NGX_ERROR;
    }
    conf->api_key.len = (size_t)length;
    conf->api_key.data =
        ngx_pstrdup(cf->pool, &(ngx_str_t){ (size_t)length, key });
    ngx_explicit_memzero(key, sizeof(key));
    return conf->api_key.data ? NGX_OK : NGX_ERROR;
}

static ngx_int_t read_key(ngx_conf_t *cf, ngx_http_phos_main_conf_t *conf)
{
    char *key = getenv("PHOSPHO_API_KEY");

    if (conf->api_key_file.len > 0)
        return read_key_file(cf, conf);
    if (key == NULL || *key == '\0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "phos is on, and there is no key: neither "
                           "phos_api_key_file nor PHOSPHO_API_KEY is set");
        return NGX_ERROR;
    }
    conf->api_key.data = (u_char *)key;
    conf->api_key.len = ngx_strlen(key);
    conf->api_key.data = ngx_pstrdup(cf->pool, &conf->api_key);
    return conf->api_key.data ? NGX_OK : NGX_ERROR;
}

/* ---- configurations ---- */

static void *create_main_conf(ngx_conf_t *cf)
{
    ngx_http_phos_main_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

    if (conf == NULL)
        return NULL;
    conf->sample = NGX_CONF_UNSET;
    conf->close_timeout = NGX_CONF_UNSET_MSEC;
    return conf;
}

static void *create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_phos_loc_conf_t *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

    if (conf == NULL)
        return NULL;
    conf->enable = NGX_CONF_UNSET;
    conf->text_max = NGX_CONF_UNSET_SIZE;
    conf->session_id = NGX_CONF_UNSET_PTR;
    conf->user_id = NGX_CONF_UNSET_PTR;
    conf->provider = NGX_CONF_UNSET_PTR;
    return conf;
}

static char *merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_phos_main_conf_t *all =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_phos_module);
    ngx_http_phos_loc_conf_t *from = parent, *conf = child;

    ngx_conf_merge_value(conf->enable, from->enable, 0);
    ngx_conf_merge_bitmask_value(conf->capture, from->capture,
                                 NGX_CONF_BITMASK_SET |
                                     NGX_HTTP_PHOS_CAPTURE_INPUT |
                                     NGX_HTTP_PHOS_CAPTURE_OUTPUT);
    ngx_conf_merge_size_value(conf->text_max, from->text_max, TEXT_MAX_DEFAULT);
    ngx_conf_merge_ptr_value(conf->session_id, from->session_id, NULL);
    ngx_conf_merge_ptr_value(conf->user_id, from->user_id, NULL);
    ngx_conf_merge_ptr_value(conf->provider, from->provider, NULL);

    if (conf->enable) {
        all->used = 1;
        all->text_max = ngx_max(all->text_max, conf->text_max);
    }
    return NGX_CONF_OK;
}

static ngx_int_t add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t *from, *variable;

    for (from = variables; from->name.len; from++) {
        variable = ngx_http_add_variable(cf, &from->name, from->flags);
        if (variable == NULL)
            return NGX_ERROR;
        variable->get_handler = from->get_handler;
        variable->data = from->data;
    }
    return NGX_OK;
}

/* Here and not in a conf's own hook: now every location has been read. */
static ngx_int_t finish_configuration(ngx_conf_t *cf)
{
    ngx_http_phos_main_conf_t *conf =
        ngx_http_conf_get_module_main_conf(cf, ngx_http_phos_module);

    ngx_conf_init_value(conf->sample, NGX_HTTP_PHOS_SAMPLE_ALL);
    ngx_conf_init_msec_value(conf->close_timeout, CLOSE_TIMEOUT_MS);
    if (!conf->used)
        return NGX_OK;
    if (conf->endpoint.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "phos is on, and phos_endpoint is not set");
        return NGX_ERROR;
    }
    if (read_key(cf, conf) != NGX_OK)
        return NGX_ERROR;
    return ngx_http_phos_capture_init(cf);
}

/* ---- processes ---- */

static ngx_http_phos_main_conf_t *main_conf_of(ngx_cycle_t *cycle)
{
    return ngx_http_cycle_get_module_main_conf(cycle, ngx_http_phos_module);
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
    ngx_http_phos_main_conf_t *conf = main_conf_of(cycle);

    /* Cache manager and loader come here too, and serve no requests. */
    if (conf && conf->used &&
        (ngx_process == NGX_PROCESS_WORKER ||
         ngx_process == NGX_PROCESS_SINGLE))
        ngx_http_phos_worker_open(cycle, conf);
    return NGX_OK;
}

static void exit_process(ngx_cycle_t *cycle)
{
    ngx_http_phos_main_conf_t *conf = main_conf_of(cycle);

    if (conf)
        ngx_http_phos_worker_close(cycle, conf);
}

static ngx_http_module_t context = {
    add_variables,        /* preconfiguration */
    finish_configuration, /* postconfiguration */
    create_main_conf,
    NULL, /* init main configuration */
    NULL, /* create server configuration */
    NULL, /* merge server configuration */
    create_loc_conf,
    merge_loc_conf
};

ngx_module_t ngx_http_phos_module = {
    NGX_MODULE_V1,
    &context,
    commands,
    NGX_HTTP_MODULE,
    NULL, /* init master: never a client there */
    NULL, /* init module */
    init_process,
    NULL, /* init thread */
    NULL, /* exit thread */
    exit_process,
    NULL, /* exit master */
    NGX_MODULE_V1_PADDING
};
