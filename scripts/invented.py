"""The people and places of the demo: all invented, in numbers that belong to nobody."""

from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from ledger.events import OrganisationKind, UnitLevel


class InventedUnit(NamedTuple):
    """A district, street or community."""

    code: str
    name: str
    level: UnitLevel
    parent: str | None


class InventedOrganisation(NamedTuple):
    """An organisation at one of the units."""

    code: str
    name: str
    kind: OrganisationKind
    unit: str


class Activity(NamedTuple):
    """Something that volunteers do: when it may begin, and how long it takes."""

    name: str
    category: str
    hours: tuple[int, ...]  # on the clock of the zone
    minutes: tuple[int, int]
    professional: bool = False


DISTRICT = InventedUnit("binhai", "滨海示范区", "district", None)
STREETS = (
    ("haitang", "海棠"),
    ("yinxing", "银杏"),
    ("wanghai", "望海"),
    ("qingsong", "青松"),
    ("mingyue", "明月"),
    ("changqiao", "长桥"),
    ("shuyuan", "书院"),
    ("yuntai", "云台"),
    ("qinghe", "清河"),
    ("chaoyang", "朝阳"),
    ("jinsha", "金沙"),
    ("luming", "鹿鸣"),
)
COMMUNITIES = (
    ("xingfu", "幸福"),
    ("heping", "和平"),
    ("ankang", "安康"),
    ("guangming", "光明"),
    ("hehua", "荷花"),
    ("jinxiu", "锦绣"),
    ("tongxin", "同心"),
    ("yihe", "颐和"),
    ("chunhui", "春晖"),
    ("linjiang", "临江"),
)
ORGANISATIONS: tuple[tuple[str, str, OrganisationKind], ...] = (
    ("red-vest", "红马甲志愿服务队", "volunteer"),
    ("tongxing", "同行社会工作服务中心", "social_work"),
    ("neighbours", "邻里守望互助会", "volunteer"),
    ("nuanyang", "暖阳社工工作室", "studio"),
    ("binhai-university", "滨海大学青年志愿者协会", "university"),
    ("kangning", "康宁养老服务公司", "partner"),
)
ACTIVITIES = (
    Activity("陪伴就医", "elderly", (8, 9, 13), (120, 240)),
    Activity("助餐送餐", "elderly", (10, 11, 16), (60, 90)),
    Activity("居家探访", "elderly", (9, 14, 15), (45, 90)),
    Activity("代购代办", "elderly", (9, 10, 15), (30, 60)),
    Activity("四点半课堂", "children", (16,), (90, 120)),
    Activity("海滩清洁", "environment", (8, 14), (120, 180)),
    Activity("文明劝导", "community", (7, 17), (60, 120)),
    Activity("反诈宣传", "community", (9, 14), (60, 120)),
    Activity("夜间陪护", "night", (18, 19), (120, 210)),
    Activity("个案辅导", "casework", (9, 14), (60, 120), professional=True),
)
PEER_SERVICE = Activity("互助上门", "elderly", (8, 13, 16), (30, 120))
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章"
GIVEN = "安柏辰丹恩芳歌涵佳可兰明宁佩清然思彤薇晓雅泽之远嘉书乐言景云秋雨山川海松竹梅春晴"
NOWHERE = "9999"
"""A resident id begins with the place that gave it out; none has this number."""
NO_MOBILE = "100"
"""No mobile number of China begins so."""


def units(streets: int, communities: int) -> list[InventedUnit]:
    """The district, its streets, and communities in each."""
    made = [DISTRICT]
    for code, name in STREETS[:streets]:
        made.append(InventedUnit(code, f"{name}街道", "street", DISTRICT.code))
        made += [
            InventedUnit(f"{code}-{inner}", f"{name}街道{called}社区", "community", code)
            for inner, called in COMMUNITIES[:communities]
        ]
    return made


def organisations(count: int, seats: list[str], rng: Random) -> list[InventedOrganisation]:
    """Organisations of every kind; beyond the named ones they are numbered."""
    made = []
    for index in range(count):
        turn, place = divmod(index, len(ORGANISATIONS))
        code, name, kind = ORGANISATIONS[place]
        if turn:
            code, name = f"{code}-{turn + 1}", f"{name}第{turn + 1}分队"
        made.append(InventedOrganisation(code, name, kind, rng.choice(seats)))
    return made


def name(rng: Random) -> str:
    """A name that somebody may happen to bear."""
    return rng.choice(SURNAMES) + "".join(rng.choices(GIVEN, k=rng.choice((1, 2, 2))))


def person(number: int, today: date, rng: Random) -> dict[str, str]:
    """A person for the vault, whose id and phone nobody has."""
    born = today - timedelta(days=rng.randint(18 * 366, 82 * 365))
    body = f"{NOWHERE}{number // 1_000 % 100:02}{born:%Y%m%d}{number % 1_000:03}"
    return {
        "name": name(rng),
        "document_kind": "resident_id",
        "document_number": body + _check_character(body),
        "birth_date": born.isoformat(),
        "phone": f"{NO_MOBILE}{number:08}",
    }


def holidays(first: date, last: date) -> list[str]:
    """New Year, Labour Day and National Day, which have the same dates every year."""
    days = ("01-01", "05-01", "05-02", "10-01", "10-02", "10-03")
    return [f"{year}-{day}" for year in range(first.year, last.year + 2) for day in days]


def _check_character(body: str) -> str:
    """The last character of a resident id (GB 11643, which is ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * (1 << (17 - place)) for place, digit in enumerate(body))
    return "10X98765432"[total % 11]
