"""What the command line says of its own, in Chinese and English, and which of the two to speak.

The language is that of `TIMEBANK_LANG` (`zh` or `en`), else that of the locale (`LC_ALL`,
`LC_MESSAGES`, `LANG`); where none of them tells, both are said.
"""

import os

from ledger.refusals import Language

SAYINGS: dict[str, tuple[str, str]] = {
    # -- usage
    "no_such_verb": ("没有命令 {name}。", "There is no verb {name}."),
    "no_such_option": ("没有选项 {name}。", "There is no option {name}."),
    "missing_verb": ("缺少命令：{command} --help", "A verb is missing: {command} --help"),
    "missing_parameter": ("缺少 {name}。", "{name} is missing."),
    "value_expected": ("选项 {name} 需要一个值。", "The option {name} takes a value."),
    "not_one_of": ("{name}：应为 {allowed} 之一。", "{name}: expected one of {allowed}."),
    "no_such_file": ("{name}：没有文件 {path}。", "{name}: there is no file {path}."),
    "not_a_date": (
        "{name}：应为 ISO 8601 日期，例如 2026-03-06。",
        "{name}: expected an ISO 8601 date, such as 2026-03-06.",
    ),
    "not_a_month": (
        "{name}：应为年月，例如 2026-03。",
        "{name}: expected a year and month, such as 2026-03.",
    ),
    "not_an_instant": (
        "{name}：应为 ISO 8601 日期，或带时区偏移的 RFC 3339 时间。",
        "{name}: expected an ISO 8601 date, or an RFC 3339 instant with an offset.",
    ),
    "not_a_number": ("{name}：应为整数。", "{name}: expected a whole number."),
    "bad_parameter": ("{name}：{reason}", "{name}: {reason}"),
    "bad_usage": ("用法有误：{reason}", "Wrong usage: {reason}"),
    "bad_settings": ("设置有误：{reason}", "Wrong settings: {reason}"),
    "bad_key": ("密钥参数有误：{reason}", "The key cannot be made: {reason}"),
    "bad_line": ("第 {line} 行：{detail}", "line {line}: {detail}"),
    "bad_line_field": ("第 {line} 行 {pointer}：{detail}", "line {line}, {pointer}: {detail}"),
    "unreadable_file": (
        "文件 {path} 无法读取：{reason}",
        "The file {path} cannot be read: {reason}",
    ),
    "unreadable_changes": (
        "{path} 不是可读取的 JSON 或 TOML：{reason}",
        "{path} is neither JSON nor TOML that can be read: {reason}",
    ),
    # -- refused
    "made_already": (
        "账本已存在：{where}。没有任何改动。",
        "There is a ledger already: {where}. Nothing was changed.",
    ),
    "file_exists": (
        "文件 {path} 已存在，不会覆盖。没有任何改动。",
        "The file {path} exists and is not overwritten. Nothing was changed.",
    ),
    "served_already": (
        "另一个进程（{pid}）正在为 {where} 提供服务；一个 SQLite 文件只能有一个。",
        "Another process ({pid}) serves {where}; one SQLite file has one server.",
    ),
    "not_a_demo": (
        "{where} 已有账本，但不是演示创建的；演示不会写入其中。",
        "There is a ledger at {where} that no demo made; a demo does not write into it.",
    ),
    "other_demo": (
        "{where} 已有规模为 {size}、种子为 {seed} 的演示；请删除该目录或用 --folder 另选一个。",
        "{where} holds a demo of size {size} and seed {seed}; "
        "remove the folder, or choose another with --folder.",
    ),
    "no_such_account": (
        "账户 {name} 从未有过分录。",
        "The account {name} has never had a line.",
    ),
    "ids_or_recorded": (
        "请给出成员编号，或者用 --recorded，二者选一。",
        "Give ids of members, or --recorded: one of the two.",
    ),
    "erase_for_ever": (
        "将永久删除 {count} 名成员的个人信息，无法恢复。继续吗？",
        "Who {count} members are will be forgotten for ever. Go on?",
    ),
    "not_confirmed": (
        "未确认，什么也没有删除（--yes 不再询问）。",
        "Not confirmed, and nothing was erased (--yes does not ask).",
    ),
    "not_swept": (
        "已删除，但有读取者占用，文件中旧页面尚未清除；稍后再次运行即可清除。",
        "It is erased, but a reader keeps old pages in the files; run it again later.",
    ),
    "key_is_in_the_file": (
        "保险库密钥在 {path} 中，不需要 --to-key-file。",
        "The vault key is in {path}; --to-key-file is for a key of the environment.",
    ),
    "restart_servers": (
        "请重启服务并重新备份 {path}；旧的保险库备份仍需旧密钥。",
        "Restart the servers and back up {path}; vaults backed up before still need the old key.",
    ),
    "next_key_in": (
        "请把 {path} 的内容设为 TIMEBANK_VAULT_KEY，再重启服务；旧的保险库备份仍需旧密钥。",
        "Give TIMEBANK_VAULT_KEY what is in {path}, and restart the servers; "
        "vaults backed up before still need the old key.",
    ),
    "rewrapping": ("正在更换密钥", "Rewrapping"),
    "place_taken": (
        "目标处已有内容（{store}），不会覆盖。",
        "Something stands already where the {store} was to be restored; it is not overwritten.",
    ),
    "backup_has_no_vault": (
        "此备份不含保险库：成员是谁、回调用何签名，都不在其中。",
        "This backup has no vault: who the members are and what webhooks are signed with is not"
        " in it.",
    ),
    "backup_has_no_keys": (
        "备份不含签名密钥和保险库密钥：请另行保存 {path}（或环境变量中的密钥）。",
        "Neither the signing key nor the vault's key is in it: keep a copy of {path} (or of what"
        " the environment gives) elsewhere.",
    ),
    "no_such_webhook": ("没有推送地址 {id}。", "There is no webhook {id}."),
    "beyond_the_last": (
        "{name}：账本只到第 {last} 条。",
        "{name}: the ledger ends at {last}.",
    ),
    "no_such_key": ("没有密钥 {id}。", "There is no key {id}."),
    "key_ended": (
        "密钥 {id} 已撤销或过期，不能轮换；请新建密钥。",
        "The key {id} is revoked or expired, and nothing follows it; make a new key.",
    ),
    "key_of_tokens": (
        "{id} 由签发方的令牌使用，没有密钥文本，不能轮换。",
        "{id} is spoken for by an issuer's tokens; there is no text to rotate.",
    ),
    "key_replaced": (
        "密钥 {id} 已由 {by} 接替；请轮换或撤销 {by}。",
        "The key {id} is followed by {by} already; rotate or revoke that one.",
    ),
    "subject_taken": (
        "该签发方的这一 sub 已属于 {id}；请先撤销它。",
        "This subject of the issuer is {id} already; revoke that one first.",
    ),
    "no_issuer": (
        "--subject 需要 --issuer 或设置 oidc_issuer。",
        "--subject needs --issuer, or the setting oidc_issuer.",
    ),
    # -- unavailable
    "no_backup": (
        "{path} 中没有备份（没有 manifest.json）。",
        "There is no backup in {path}: it has no manifest.json.",
    ),
    "backup_newer": (
        "备份由更新的程序制作（{what}），请使用该版本恢复。",
        "A newer program has made this backup ({what}); restore it with that one.",
    ),
    "backup_damaged": (
        "备份已损坏或被改动：{what}。没有写入任何内容。",
        "The backup is damaged, or was changed: {what}. Nothing was written.",
    ),
    "not_verified": (
        "账目核验有误，位置 {position}：{what} 没有写入任何内容。",
        "The journal does not verify, at position {position}: {what} Nothing was written.",
    ),
    "not_made": (
        "没有账本：{where}。请先运行 timebank init。",
        "There is no ledger at {where}. Make one with: timebank init",
    ),
    "secrets_unusable": ("密钥文件不可用：{reason}", "The secrets cannot be used: {reason}"),
    "wrong_vault_key": (
        "保险库密钥与此账本不符。",
        "The vault key is not the one this ledger's vault was made with.",
    ),
    "database_away": ("数据库不可用：{reason}", "The database is not available: {reason}"),
    "no_vault": (
        "账本旁没有保险库。请从备份恢复：timebank db restore BACKUP --vault-only；"
        "确实无法恢复时，timebank db upgrade 会建立一个空的。",
        "There is no vault beside the journal. Restore it: timebank db restore BACKUP --vault-only;"
        " if there is no other help, timebank db upgrade begins an empty one.",
    ),
    "other_schema": (
        "数据库结构为版本 {found}，程序需要 {wanted}。请运行 timebank db upgrade。",
        "The database is at revision {found} instead of {wanted}. Run: timebank db upgrade",
    ),
    "views_rebuilt": (
        "视图正在被重建，请稍后再试。",
        "The views are being rebuilt meanwhile; try again.",
    ),
    "address_taken": (
        "地址 {address} 不能使用：{reason}。可用 --port 另选端口。",
        "The address {address} cannot be used: {reason}. Choose another port with --port.",
    ),
    "system_says": ("系统拒绝：{reason}", "The system refuses: {reason}"),
    "not_in_this_copy": (
        "此版本不含命令 {name}。",
        "The verb {name} is not part of this copy.",
    ),
    "one_of_two_options": (
        "{first} 和 {second} 必须且只能给出一个。",
        "Give {first} or {second}, and not both.",
    ),
    "not_a_note": (
        "{path} 不是签名的检查点：{reason}",
        "{path} holds no signed checkpoints: {reason}",
    ),
    "ends_before_it_begins": (
        "终点 {last} 在起点 {first} 之前。",
        "The end, {last}, lies before the beginning, {first}.",
    ),
    "not_in_the_tree": (
        "{name}：日志中没有 {value}。",
        "{name}: the log does not reach to {value}, or from it.",
    ),
    "no_such_folder": ("没有目录 {path}。", "There is no folder {path}."),
    "not_installed": (
        "需要软件包 {package}：pip install {package}",
        "This needs the package {package}: pip install {package}",
    ),
    "no_checkpoint": (
        "账本还没有检查点：先运行 timebank log checkpoint。",
        "The ledger has no checkpoint yet: timebank log checkpoint signs one.",
    ),
    "not_the_witness": (
        "大小为 {size} 的检查点没有这位见证人的有效签名。",
        "The checkpoint of {size} entries bears no good signature of this witness.",
    ),
    "other_checkpoint": (
        "账本没有签发过这个大小为 {size} 的检查点。",
        "The ledger has not signed this checkpoint of {size} entries.",
    ),
    "forked": (
        "日志与大小为 {size} 的检查点不符，拒绝签名。请运行 timebank audit verify。",
        "The log is not the one that was signed at {size} entries; nothing is signed over it."
        " timebank audit verify tells more.",
    ),
    "other_signing_key": (
        "手头的签名密钥不是账本现行的密钥：timebank key rotate-signing 更换密钥。",
        "The signing key at hand is not the one in force: timebank key rotate-signing changes it.",
    ),
    "broken_proof": (
        "手头的散列无法构成证明：请运行 timebank audit verify 和 timebank views rebuild。",
        "The hashes at hand make no proof: timebank audit verify, then timebank views rebuild.",
    ),
    # -- what went on
    "nothing_signed": (
        "未签发新的检查点（{reason}），以下是已保存的最后一个。",
        "No new checkpoint is signed ({reason}); this is the last that was kept.",
    ),
    "exporting": ("正在导出", "Exporting"),
    "exported_to_the_last": (
        "未签发新的检查点（{reason}），导出到已保存的最后一个，共 {size} 条。",
        "No new checkpoint is signed ({reason}); the export ends at the last, of {size} entries.",
    ),
    "cosigned": (
        "已见证 {size} 条记录。见证人公钥：{witness}",
        "Cosigned {size} entries. The witness's public key: {witness}",
    ),
    "part_not_cosigned": (
        "{path} 只是日志的一部分，无法据此见证。",
        "{path} is a part of the log; a witness has to see all of it.",
    ),
    "not_cosigned": (
        "日志核验有误，不予见证。",
        "The log did not verify, and is not cosigned.",
    ),
    "interrupted": ("已中断。", "Interrupted."),
    "first_admin_key": (
        "首个管理员密钥（只显示这一次）：{key}",
        "The first admin key, shown this once: {key}",
    ),
    "log_key": (
        "日志公钥，请交给审计员：{key}",
        "The log's public key, for auditors to keep: {key}",
    ),
    "admin_key_in": ("首个管理员密钥在 {path}", "The first admin key is in {path}"),
    "key_shown_once": (
        "密钥（只显示这一次）：{key}",
        "The key, shown this once: {key}",
    ),
    "old_key_until": (
        "原密钥 {id} 可用至 {day}（UTC，含当日）。",
        "The old key {id} works through {day} (UTC).",
    ),
    "old_key_ended": (
        "原密钥 {id} 已撤销。",
        "The old key {id} is revoked.",
    ),
    "serving": ("服务地址 {address}", "Serving at {address}"),
    "working": ("正在后台工作：{parts}", "At work: {parts}"),
    "no_work": (
        "没有指定后台工作（TIMEBANK_WORK 为 none）。",
        "There is no work to do: TIMEBANK_WORK is none.",
    ),
    "work_ended": (
        "后台工作意外结束：{parts}，详见日志。",
        "Work has come to an unexpected end: {parts}. The log says why.",
    ),
    "stopping": ("正在停止，等待进行中的请求…", "Stopping; requests under way are finished …"),
    "seeding": ("正在登记演示数据", "Seeding the demo"),
    "demo_statement": ("一份可查验的服务记录证明：{path}", "a service statement to verify: {path}"),
    "demo_reused": ("沿用 {where} 中的演示数据", "The demo in {where} is there already"),
    "backing_up": ("正在备份", "Backing up"),
    "restoring": ("正在恢复", "Restoring"),
    "restored": (
        "已恢复。请运行 timebank doctor；启动服务时会建立视图。",
        "Restored. Run timebank doctor next; serving builds the views.",
    ),
    "restored_without_vault": (
        "备份不含保险库：账目完整，但成员是谁已无从得知，回调须重新设置密钥。",
        "The backup has no vault: the books are whole, but nobody knows who the members are, and"
        " webhooks need new secrets.",
    ),
    "restored_vault_key": (
        "手头没有能打开此保险库的密钥（{path}）：请放回备份当时的密钥。",
        "No key at hand opens this vault ({path}): put that of then in its place.",
    ),
    "restored_behind": (
        "检查点文件表明账本曾有 {signed} 条记录，备份止于 {position}：其后至少 {lost} 条已不在。"
        "请另存检查点文件并告知审计员。",
        "The file of checkpoints says that there were {signed} entries; the backup ends at"
        " {position}: at least {lost} are gone. Put that file aside, and tell the auditors.",
    ),
    "reading": ("正在读取", "Reading"),
    "importing": ("正在导入", "Importing"),
    "running_jobs": ("正在运行作业", "Running jobs"),
    "verifying": ("正在核验", "Verifying"),
    "replaying": ("正在重放", "Replaying"),
    "rebuilding": ("正在重建视图", "Rebuilding the views"),
    "more_lines": ("另有 {count} 行被拒绝。", "{count} more lines were refused."),
    "unread_setting": (
        "环境变量 {name} 不是任何设置",
        "The environment's {name} is no setting",
    ),
    # -- doctor
    "doctor_python": ("{running}", "{running}"),
    "doctor_old": (
        "需要 CPython 3.11 或更高版本，当前是 {running}。",
        "CPython 3.11 or newer is needed; this is {running}.",
    ),
    "doctor_packages": (
        "{count} 个软件包与 requirements.lock 一致",
        "the {count} packages are those of requirements.lock",
    ),
    "doctor_no_lock": ("没有 requirements.lock 可比较", "no requirements.lock to compare with"),
    "doctor_other_packages": (
        "与 requirements.lock 不同：{packages}",
        "other than in requirements.lock: {packages}",
    ),
    "doctor_settings": ("{count} 项设置", "{count} settings"),
    "doctor_zones": ("{count} 个时区", "{count} time zones"),
    "doctor_no_zones": (
        "没有时区数据，请安装 tzdata。",
        "There are no time zones; install tzdata.",
    ),
    "doctor_secrets": ("密钥可用（{path}）", "the secrets are usable ({path})"),
    "doctor_faults": ("结构不符：{faults}", "the schema is another: {faults}"),
    "doctor_journal": (
        "版本 {revision}，最后位置 {position}",
        "revision {revision}, last position {position}",
    ),
    "doctor_durable": ("{held}", "{held}"),
    "doctor_not_durable": (
        "断电可能丢失已确认的记录：{held}",
        "a power cut may lose what was acknowledged: {held}",
    ),
    "doctor_vault": ("版本 {revision}", "revision {revision}"),
    "doctor_people": ("{count} 人，均为成员", "{count} people, members all"),
    "doctor_strangers": (
        "保险库中有 {count} 人不在账本中，第一个是 {first}；以相同编号再次登记即可补上",
        "{count} people in the vault are not in the journal, first {first};"
        " registering them again finishes it",
    ),
    "doctor_held_again": (
        "{count} 人已记录删除却仍在保险库中，第一个是 {first}；"
        "请运行 timebank member erase --recorded",
        "{count} people are held whose erasure is recorded, first {first}; "
        "timebank member erase --recorded erases them again",
    ),
    "doctor_erasure_unrecorded": (
        "{count} 人已从保险库删除但账本没有记录，第一个是 {first}；"
        "请再次运行 timebank member erase",
        "{count} people are erased in the vault alone, first {first}; "
        "timebank member erase records it",
    ),
    "doctor_pending": (
        "{count} 人登记未完成，第一个是 {first}；以相同编号再次登记即可完成",
        "{count} people are half registered, first {first}; registering them again finishes it",
    ),
    "doctor_views": (
        "读到位置 {position}，落后 {behind}",
        "read to position {position}, {behind} behind",
    ),
    "doctor_views_old": (
        "视图尚未建立或结构已变，启动服务时会重建",
        "there are none of the present shape; serving builds them",
    ),
    "doctor_views_behind": (
        "落后 {behind} 条，请启动服务或运行 timebank views rebuild",
        "{behind} entries behind; serving reads on, timebank views rebuild builds anew",
    ),
    "doctor_no_checkpoint": (
        "还没有检查点，启动服务时会签发",
        "there is no checkpoint yet; serving signs one",
    ),
    "doctor_log": (
        "检查点覆盖 {size} 条，签于 {signed_at}；其后 {unsigned} 条尚未签名",
        "signed to {size} at {signed_at}; {unsigned} entries since then are not",
    ),
    "doctor_log_unsigned": (
        "检查点覆盖 {size} 条，签于 {signed_at}；其后 {unsigned} 条久未签名，请查看服务日志",
        "signed to {size} at {signed_at}; {unsigned} entries have waited long for a signature,"
        " the server's log may say why",
    ),
    "doctor_no_checkpoint_file": (
        "未设置 TIMEBANK_CHECKPOINT_FILE：末尾被删去将无从发现",
        "TIMEBANK_CHECKPOINT_FILE is not set: a tail that is cut off would not be found",
    ),
    "doctor_checkpoint_file": (
        "{path}：检查点覆盖 {size} 条",
        "{path}: signed to {size}",
    ),
    "doctor_checkpoint_file_empty": (
        "{path} 中还没有检查点，启动服务时会写入",
        "{path} holds no checkpoint yet; serving writes them",
    ),
    "doctor_checkpoint_file_behind": (
        "{path} 只到 {size} 条，账本已签到 {signed} 条",
        "{path} ends at {size}, the ledger has signed to {signed}",
    ),
    "doctor_checkpoint_file_shut": (
        "{path} 不可写入",
        "{path} cannot be written to",
    ),
    "doctor_cut_off": (
        "{path} 表明账本曾有 {size} 条记录，现在只有 {position} 条",
        "{path} says that there were {size} entries; there are {position}",
    ),
    "doctor_no_files": ("文件由数据库服务器管理", "the database's server has the files"),
    "doctor_files": ("{count} 个文件仅所有者可读写", "{count} files, their owner's alone"),
    "doctor_files_open": (
        "其他用户可以访问：chmod 600 {paths}",
        "others may read or write: chmod 600 {paths}",
    ),
    "doctor_writable": ("可以写入", "it takes writes"),
    "doctor_standby": (
        "这是备库，不能写入：地址应指向主库（target_session_attrs=read-write）",
        "this is a standby, which takes no writes: the address must lead to the primary"
        " (target_session_attrs=read-write)",
    ),
    "doctor_read_only": ("数据库处于只读状态", "the database is read-only"),
    "doctor_may_not_write": (
        "此用户无权写入账本",
        "this user may not write to the journal",
    ),
    "doctor_sqlite": ("版本 {version}（SQLite）", "SQLite {version}"),
    "doctor_server": (
        "版本 {version}（PostgreSQL），提交等待备库 {standbys}",
        "PostgreSQL {version}, commits wait for {standbys}",
    ),
    "doctor_server_alone": (
        "版本 {version}（PostgreSQL），没有同步备库",
        "PostgreSQL {version}, no synchronous standby",
    ),
    "doctor_server_old": (
        "版本 {version}（PostgreSQL）过旧，至少需要 13",
        "PostgreSQL {version} is too old; 13 is the least",
    ),
    "doctor_standbys_away": (
        "版本 {version}（PostgreSQL），备库 {standbys} 均未连接，提交会一直等待",
        "PostgreSQL {version}, none of the standbys {standbys} is connected: commits wait for them",
    ),
    "doctor_no_connections": ("无需连接数", "a file needs none"),
    "doctor_connections": (
        "最多 {most} 个连接，已用 {used}；每个进程至多 {process}",
        "{used} of {most} in use; a process takes up to {process}",
    ),
    "doctor_connections_few": (
        "最多 {most} 个连接，已用 {used}；再启动一个进程可能需要 {process} 个",
        "{used} of {most} in use; one more process may want {process}: raise max_connections",
    ),
    "doctor_no_backup": (
        "{folder} 中没有此账本的备份",
        "there is no backup of this ledger in {folder}",
    ),
    "doctor_backups": (
        "{count} 份备份，最新 {newest}（到位置 {position}），最早的保险库 {vault}",
        "{count} backups, the newest of {newest} to position {position}; oldest vault {vault}",
    ),
    "doctor_backup_old": (
        "{count} 份备份，最新的一份已旧：{newest}（到位置 {position}），最早的保险库 {vault}",
        "{count} backups, the newest is old: {newest} to position {position}; oldest vault {vault}",
    ),
    "doctor_clock": ("{now}", "{now}"),
    "doctor_clock_behind": (
        "最后记录于 {recorded_at}，本机时钟落后",
        "the last entry was recorded at {recorded_at}, this machine's clock is behind",
    ),
    "doctor_clocks_differ": (
        "本机时钟与数据库相差 {seconds} 秒",
        "this machine's clock and the database's are {seconds} s apart",
    ),
    "doctor_address": ("证明与凭证中的地址：{address}", "in papers: {address}"),
    "doctor_no_public_url": (
        "证明与凭证中的地址为 {address}，外界无法访问：请设置 TIMEBANK_PUBLIC_URL",
        "papers carry {address}, which the world cannot reach: set TIMEBANK_PUBLIC_URL",
    ),
    "doctor_no_tokens": (
        "未设置令牌签发方，只接受密钥",
        "no issuer is set; keys are the one way in",
    ),
    "doctor_tokens": (
        "{issuer} 有 {count} 个可验证 {algorithm} 的公钥",
        "{issuer} has {count} public key(s) that verify {algorithm}",
    ),
    "doctor_no_token_keys": (
        "{issuer} 的公钥无法取得：{reason}",
        "the public keys of {issuer} are not to be had: {reason}",
    ),
    "doctor_disk": ("{folder}：剩余 {free} MiB", "{folder}: {free} MiB free"),
    # -- verification
    "verified": (
        "全部 {entries} 条记录核验无误。",
        "All {entries} entries are as they were written.",
    ),
    "attested": (
        "相符的检查点：{count} 个，最后一个覆盖 {size} 条记录。",
        "Checkpoints that agree: {count}; the last covers {size} entries.",
    ),
    "pinned": (
        "相符的另存检查点：{count} 个。",
        "Checkpoints kept elsewhere that agree: {count}.",
    ),
    "keys_from_here": (
        "签名用本机的公钥核验；要独立核验，请用 --key 给出另行取得的公钥。",
        "Signatures were checked with keys found here; --key takes one that you were handed.",
    ),
    "no_keys": (
        "没有核验签名：--key 给出账本公钥。",
        "No signature was checked: --key takes the ledger's public key.",
    ),
    "wrong_by_checkpoint": (
        "依据：大小为 {size} 的检查点。",
        "Shown by the checkpoint of {size} entries.",
    ),
    "first_wrong": (
        "第一个有误的位置：{position}。{what}",
        "First wrong position: {position}. {what}",
    ),
    "wrong_position_missing": ("此位置没有记录。", "There is no entry at this position."),
    "wrong_leaf": (
        "记录与写入时的哈希不符。",
        "The entry is not the one whose hash was kept when it was written.",
    ),
    "wrong_spelling": (
        "这一行不是按唯一写法书写的记录。",
        "The line is no entry in its one spelling.",
    ),
    "wrong_checkpoint": (
        "检查点与日志不符。",
        "A checkpoint is of another history than the log.",
    ),
    "wrong_signature": (
        "检查点的签名无效。",
        "The checkpoint does not bear the signature that it must.",
    ),
    "wrong_unknown_key": (
        "检查点不是由可信的密钥签名的。",
        "No key that is trusted stands behind the checkpoint.",
    ),
    "wrong_cosignature": (
        "见证人的签名无效。",
        "A witness has not signed what stands under its name.",
    ),
    "wrong_pinned": (
        "另行保存的检查点与日志不符：历史被改写。",
        "A checkpoint that was kept elsewhere is of another history: this one was rewritten.",
    ),
    "wrong_cut_off": (
        "检查点覆盖的记录多于日志：末尾被删去。",
        "A checkpoint covers more entries than the log has: its tail is gone.",
    ),
    "wrong_proof": (
        "记录的证明不能导出检查点的根。",
        "The entry's proof does not lead to the checkpoint's root.",
    ),
    "wrong_trial_balance": (
        "导出的试算平衡与分录合计不符。",
        "The exported trial balance is not the sums of the lines.",
    ),
    "wrong_unreadable": ("记录的内容无法读取。", "The entry's data cannot be read."),
    "wrong_stream": (
        "记录所在的流与其内容不符。",
        "The entry stands in another stream than its data says.",
    ),
    "wrong_version": (
        "流内版本号不连续。",
        "The versions of the entry's stream are not dense from 1.",
    ),
    "wrong_sum": ("分录合计不为零。", "The entry's double-entry lines do not sum to zero."),
    "wrong_recorded_at": (
        "记录时间早于前一条。",
        "The entry says it was recorded before the one ahead of it.",
    ),
    "wrong_receipt": (
        "凭证索引与记录不符。",
        "The index of receipts is not what the entries say.",
    ),
    "wrong_record_entry": (
        "服务记录索引与记录不符。",
        "The index of service records is not what the entries say.",
    ),
    "wrong_heard": (
        "账户间转移的索引与记录不符。",
        "The index of what accounts hear of each other is not what the entries say.",
    ),
    "wrong_shared_balance": (
        "资金池余额与分录合计不符。",
        "The kept balance of a pool or fund is not the sum of its lines.",
    ),
    "wrong_damaged": (
        "数据库文件已损坏，无法继续读取。",
        "The database is damaged and cannot be read on.",
    ),
    "views_equal": ("视图与账本一致。", "The views are what the journal says."),
    "first_difference": (
        "视图与账本不一致。第一处差异：{view}，{row}",
        "The views differ from the journal. The first difference: {view}, {row}",
    ),
}
"""Code -> what is said. A place in braces is filled with what the case at hand gives."""


def languages() -> tuple[Language, ...]:
    """What to speak: one language where the environment tells, else both."""
    for name in ("TIMEBANK_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        match os.environ.get(name, "")[:2].lower():
            case "zh":
                return ("zh",)
            case "en":
                return ("en",)
    return ("zh", "en")


def said(code: str, /, **params: object) -> str:
    """A saying with its places filled; where both languages are spoken, each on its own line."""
    texts = dict(zip(("zh", "en"), SAYINGS[code], strict=True))
    return "\n".join(dict.fromkeys(texts[each].format_map(params) for each in languages()))


def explained(zh: str, en: str) -> str:
    """A text of the help pages, fixed when the program starts."""
    texts = {"zh": zh, "en": en}
    return " / ".join(texts[each] for each in languages())
