#include "ngx_phos_chat.h"

#include <string.h>

enum state {
    VALUE,
    FIRST_ITEM, /* after '[' */
    FIRST_KEY,  /* after '{' */
    KEY,        /* after ',' in an object */
    COLON,
    AFTER, /* a value */
    STRING,
    ESCAPE,
    UNICODE,
    SCALAR, /* number, true, false, null */
    DONE,
    BROKEN
};

enum place {
    OTHER,
    ROOT,
    MODEL,
    USER,
    MESSAGES,
    MESSAGE,
    ROLE,
    CONTENT, /* of a message or a reply: a text, or an array of parts */
    PART,
    PART_TEXT,
    CHOICES,
    CHOICE,
    CHOICE_INDEX,
    REPLY, /* "message" of an answer, "delta" of a chunk */
    USAGE,
    TOKENS_IN,
    TOKENS_OUT
};

/* What the value of a key is, by the object that it stands in. */
static const struct {
    enum place in;
    const char *key;
    enum place value;
} KEYS[] = {
    { ROOT, "model", MODEL },
    { ROOT, "user", USER },
    { ROOT, "messages", MESSAGES },
    { ROOT, "choices", CHOICES },
    { ROOT, "usage", USAGE },
    { MESSAGE, "role", ROLE },
    { MESSAGE, "content", CONTENT },
    { PART, "text", PART_TEXT },
    { CHOICE, "index", CHOICE_INDEX },
    { CHOICE, "message", REPLY },
    { CHOICE, "delta", REPLY },
    { REPLY, "content", CONTENT },
    { USAGE, "prompt_tokens", TOKENS_IN },
    { USAGE, "completion_tokens", TOKENS_OUT },
};

enum { TEXT_BYTES_MIN = 512 };

/* ---- texts ---- */

static bool make_room(const struct ngx_phos_memory *memory,
                      struct ngx_phos_text *text, size_t bytes)
{
    size_t capacity =
        text->capacity < TEXT_BYTES_MIN ? TEXT_BYTES_MIN : text->capacity;
    char *data;

    while (capacity < bytes)
        capacity *= 2;
    if (capacity > text->limit)
        capacity = text->limit;
    data = memory->grow(memory->pool, text->data, text->length, capacity);
    if (data == NULL)
        return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

static void append(const struct ngx_phos_memory *memory,
                   struct ngx_phos_text *text, const char *data, size_t length)
{
    if (length > text->limit - text->length) {
        length = text->limit - text->length;
        text->is_cut = true;
    }
    if (length == 0)
        return;
    if (text->length + length > text->capacity &&
        !make_room(memory, text, text->length + length)) {
        text->is_cut = true;
        return;
    }
    memcpy(text->data + text->length, data, length);
    text->length += length;
}

static void clear(struct ngx_phos_text *text)
{
    text->length = 0;
    text->is_cut = false;
}

void ngx_phos_text_trim(struct ngx_phos_text *text)
{
    size_t start = text->length, want;
    unsigned char lead;

    /* At most three bytes of a character can stand before the cut. */
    while (start > 0 && text->length - start < 3 &&
           ((unsigned char)text->data[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    lead = (unsigned char)text->data[start - 1];
    want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (text->length - (start - 1) < want)
        text->length = start - 1;
}

/* ---- values ---- */

static void begin_value(struct ngx_phos_chat *chat)
{
    chat->sink = NULL;
    switch (chat->place) {
    case MODEL:
        chat->sink = &chat->model;
        break;
    case USER:
        chat->sink = &chat->user;
        break;
    case ROLE:
        chat->sink = &chat->role;
        break;
    case CONTENT:
    case PART_TEXT:
        if (chat->content != &chat->output || chat->choice == 0)
            chat->sink = chat->content;
        /* Parts of one content are lines; pieces of one stream are not. */
        if (chat->place == PART_TEXT && chat->sink && chat->sink->length > 0)
            append(&chat->memory, chat->sink, "\n", 1);
        return;
    default:
        return;
    }
    clear(chat->sink);
}

static void end_scalar(struct ngx_phos_chat *chat)
{
    if (chat->integer < 0)
        return;
    switch (chat->place) {
    case CHOICE_INDEX:
        chat->choice = chat->integer;
        break;
    case TOKENS_IN:
        chat->token_count_input = chat->integer;
        break;
    case TOKENS_OUT:
        chat->token_count_output = chat->integer;
        break;
    default:
        break;
    }
}

static void begin_container(struct ngx_phos_chat *chat, bool is_array)
{
    switch (chat->place) {
    case MESSAGES:
        chat->has_messages |= is_array;
        break;
    case MESSAGE:
        clear(&chat->message);
        clear(&chat->role);
        break;
    case CHOICES:
        chat->has_choices |= is_array;
        chat->choice_count = 0;
        break;
    case CHOICE:
        chat->choice = chat->choice_count++;
        break;
    default:
        break;
    }
}

static void end_container(struct ngx_phos_chat *chat, enum place place)
{
    const char user[] = "user";
    struct ngx_phos_text text = chat->message;

    /* Only now, for "role" may stand behind "content". */
    if (place == MESSAGE && chat->role.length == strlen(user) &&
        memcmp(chat->role.data, user, strlen(user)) == 0) {
        chat->message = chat->input;
        chat->input = text;
    }
}

static enum place place_of_item(enum place array)
{
    switch (array) {
    case MESSAGES:
        return MESSAGE;
    case CONTENT:
        return PART;
    case CHOICES:
        return CHOICE;
    default:
        return OTHER;
    }
}

static void place_by_key(struct ngx_phos_chat *chat)
{
    enum place in = (enum place)chat->places[chat->depth - 1];

    chat->place = OTHER;
    for (size_t i = 0; in != OTHER && i < sizeof(KEYS) / sizeof(*KEYS); i++) {
        if (KEYS[i].in == in && strlen(KEYS[i].key) == chat->key_length &&
            memcmp(KEYS[i].key, chat->key, chat->key_length) == 0)
            chat->place = (uint8_t)KEYS[i].value;
    }
    if (chat->place == CONTENT)
        chat->content = in == REPLY ? &chat->output : &chat->message;
}

/* ---- strings ---- */

static void put(struct ngx_phos_chat *chat, const char *data, size_t length)
{
    if (!chat->is_key) {
        if (chat->sink)
            append(&chat->memory, chat->sink, data, length);
        return;
    }
    /* A key that is too long becomes one that is in no table. */
    if (length > sizeof(chat->key) - chat->key_length)
        length = sizeof(chat->key) - chat->key_length;
    memcpy(chat->key + chat->key_length, data, length);
    chat->key_length = (uint8_t)(chat->key_length + length);
}

static void put_character(struct ngx_phos_chat *chat, uint32_t code)
{
    char utf8[4];

    if (code < 0x80) {
        utf8[0] = (char)code;
        put(chat, utf8, 1);
    } else if (code < 0x800) {
        utf8[0] = (char)(0xC0 | code >> 6);
        utf8[1] = (char)(0x80 | (code & 0x3F));
        put(chat, utf8, 2);
    } else if (code < 0x10000) {
        utf8[0] = (char)(0xE0 | code >> 12);
        utf8[1] = (char)(0x80 | (code >> 6 & 0x3F));
        utf8[2] = (char)(0x80 | (code & 0x3F));
        put(chat, utf8, 3);
    } else {
        utf8[0] = (char)(0xF0 | code >> 18);
        utf8[1] = (char)(0x80 | (code >> 12 & 0x3F));
        utf8[2] = (char)(0x80 | (code >> 6 & 0x3F));
        utf8[3] = (char)(0x80 | (code & 0x3F));
        put(chat, utf8, 4);
    }
}

/* The first half of a pair whose second half did not come. */
static void end_surrogate(struct ngx_phos_chat *chat)
{
    if (chat->high_surrogate != 0)
        put_character(chat, 0xFFFD);
    chat->high_surrogate = 0;
}

static void end_unicode(struct ngx_phos_chat *chat)
{
    uint32_t code = chat->unicode;

    chat->state = STRING;
    if (code >= 0xDC00 && code < 0xE000) {
        if (chat->high_surrogate != 0)
            put_character(chat, 0x10000 +
                                    ((chat->high_surrogate - 0xD800) << 10) +
                                    (code - 0xDC00));
        else
            put_character(chat, 0xFFFD);
        chat->high_surrogate = 0;
        return;
    }
    end_surrogate(chat);
    if (code >= 0xD800 && code < 0xDC00)
        chat->high_surrogate = code;
    else
        put_character(chat, code);
}

static void read_unicode(struct ngx_phos_chat *chat, char c)
{
    uint32_t digit;

    if (c >= '0' && c <= '9')
        digit = (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (uint32_t)((c | 0x20) - 'a' + 10);
    else {
        chat->state = BROKEN;
        return;
    }
    chat->unicode = chat->unicode << 4 | digit;
    if (++chat->unicode_digits == 4)
        end_unicode(chat);
}

static void read_escape(struct ngx_phos_chat *chat, char c)
{
    static const char NAMES[] = "\"\\/bfnrt", VALUES[] = "\"\\/\b\f\n\r\t";
    const char *name;

    if (c == 'u') {
        chat->unicode = 0;
        chat->unicode_digits = 0;
        chat->state = UNICODE;
        return;
    }
    name = c == '\0' ? NULL : strchr(NAMES, c);
    if (name == NULL) {
        chat->state = BROKEN;
        return;
    }
    end_surrogate(chat);
    put(chat, &VALUES[name - NAMES], 1);
    chat->state = STRING;
}

static void begin_string(struct ngx_phos_chat *chat, bool is_key)
{
    chat->is_key = is_key;
    chat->key_length = 0;
    chat->high_surrogate = 0;
    chat->state = STRING;
    if (!is_key)
        begin_value(chat);
}

static const char *read_string(struct ngx_phos_chat *chat, const char *at,
                               const char *end)
{
    const char *start = at;

    while (at < end && *at != '"' && *at != '\\')
        at++;
    if (at > start) {
        end_surrogate(chat);
        put(chat, start, (size_t)(at - start));
    }
    if (at == end)
        return end;
    if (*at == '\\') {
        chat->state = ESCAPE;
        return at + 1;
    }
    end_surrogate(chat);
    if (chat->is_key)
        place_by_key(chat);
    chat->state = chat->is_key ? COLON : AFTER;
    return at + 1;
}

/* ---- structure ---- */

static void open_container(struct ngx_phos_chat *chat, bool is_array)
{
    if (chat->depth == NGX_PHOS_DEPTH_MAX || (is_array && chat->depth == 0)) {
        chat->state = BROKEN;
        return;
    }
    begin_container(chat, is_array);
    chat->places[chat->depth] = chat->place;
    chat->is_array[chat->depth++] = is_array;
    if (is_array)
        chat->place = (uint8_t)place_of_item((enum place)chat->place);
    chat->state = is_array ? FIRST_ITEM : FIRST_KEY;
}

static void close_container(struct ngx_phos_chat *chat, bool is_array)
{
    if (chat->depth == 0 || chat->is_array[chat->depth - 1] != is_array) {
        chat->state = BROKEN;
        return;
    }
    chat->depth--;
    end_container(chat, (enum place)chat->places[chat->depth]);
    chat->state = chat->depth == 0 ? DONE : AFTER;
}

static void begin_scalar(struct ngx_phos_chat *chat, char c)
{
    bool is_digit = c >= '0' && c <= '9';

    if (chat->depth == 0 || !(is_digit || c == '-' || (c >= 'a' && c <= 'z'))) {
        chat->state = BROKEN;
        return;
    }
    chat->integer = is_digit ? c - '0' : -1;
    chat->state = SCALAR;
}

/* Whether `c` still belongs to the scalar. */
static bool read_scalar(struct ngx_phos_chat *chat, char c)
{
    if (c >= '0' && c <= '9') {
        /* Far below what overflows, far above any count of tokens. */
        if (chat->integer >= 0 && chat->integer < INT64_C(1) << 53)
            chat->integer = chat->integer * 10 + (c - '0');
        else
            chat->integer = -1;
        return true;
    }
    if ((c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' ||
        c == '.') {
        chat->integer = -1;
        return true;
    }
    end_scalar(chat);
    chat->state = AFTER;
    return false;
}

static void read_value(struct ngx_phos_chat *chat, char c)
{
    if (c == '{' || c == '[')
        open_container(chat, c == '[');
    else if (c == '"' && chat->depth > 0)
        begin_string(chat, false);
    else if (c == ']' && chat->state == FIRST_ITEM)
        close_container(chat, true);
    else
        begin_scalar(chat, c);
}

static void read_after(struct ngx_phos_chat *chat, char c)
{
    bool in_array = chat->is_array[chat->depth - 1];

    if (c == ']' || c == '}') {
        close_container(chat, c == ']');
    } else if (c != ',') {
        chat->state = BROKEN;
    } else if (in_array) {
        chat->place =
            (uint8_t)place_of_item((enum place)chat->places[chat->depth - 1]);
        chat->state = VALUE;
    } else {
        chat->state = KEY;
    }
}

static void read_key(struct ngx_phos_chat *chat, char c)
{
    if (c == '"')
        begin_string(chat, true);
    else if (c == '}' && chat->state == FIRST_KEY)
        close_container(chat, false);
    else
        chat->state = BROKEN;
}

static void read_structure(struct ngx_phos_chat *chat, char c)
{
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
        return;
    switch (chat->state) {
    case VALUE:
    case FIRST_ITEM:
        read_value(chat, c);
        break;
    case FIRST_KEY:
    case KEY:
        read_key(chat, c);
        break;
    case COLON:
        chat->state = c == ':' ? VALUE : BROKEN;
        break;
    default:
        read_after(chat, c);
        break;
    }
}

void ngx_phos_chat_feed(struct ngx_phos_chat *chat, const char *data,
                        size_t length)
{
    const char *at = data, *end = data + length;

    while (at < end) {
        switch (chat->state) {
        case STRING:
            at = read_string(chat, at, end);
            break;
        case ESCAPE:
            read_escape(chat, *at++);
            break;
        case UNICODE:
            read_unicode(chat, *at++);
            break;
        case SCALAR:
            at += read_scalar(chat, *at);
            break;
        case DONE:
        case BROKEN:
            return;
        default:
            read_structure(chat, *at++);
            break;
        }
    }
}

void ngx_phos_chat_next(struct ngx_phos_chat *chat)
{
    chat->state = VALUE;
    chat->place = ROOT;
    chat->depth = 0;
}

void ngx_phos_chat_init(struct ngx_phos_chat *chat,
                        struct ngx_phos_memory memory, size_t text_max)
{
    memset(chat, 0, sizeof(*chat));
    chat->memory = memory;
    chat->input.limit = text_max;
    chat->message.limit = text_max;
    chat->output.limit = text_max;
    chat->model.limit = NGX_PHOS_NAME_MAX;
    chat->user.limit = NGX_PHOS_NAME_MAX;
    chat->role.limit = NGX_PHOS_KEY_MAX;
    chat->token_count_input = -1;
    chat->token_count_output = -1;
    ngx_phos_chat_next(chat);
}

bool ngx_phos_chat_is_whole(const struct ngx_phos_chat *chat)
{
    return chat->state == DONE;
}

bool ngx_phos_chat_is_broken(const struct ngx_phos_chat *chat)
{
    return chat->state == BROKEN;
}
