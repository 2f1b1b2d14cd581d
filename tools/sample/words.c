/*
 * The words the sample branch is made of. People's and shops' names are chance combinations of everyday
 * words; the brands are invented pairs that stand on no carton; see words.h.
 */
#include "tools/sample/words.h"

#include <stddef.h>

#define WORDS(list)                                                                                          \
    {                                                                                                        \
        (list), sizeof(list) / sizeof((list)[0])                                                             \
    }

static const char *const surnames_list[] = {
    "赵", "钱", "孙", "李", "周", "吴", "郑", "王", "冯", "陈", "褚", "卫", "蒋", "沈", "韩", "杨",
    "朱", "秦", "许", "何", "吕", "张", "孔", "曹", "严", "华", "金", "魏", "陶", "姜", "谢", "邹",
    "喻", "柏", "窦", "章", "苏", "潘", "葛", "范", "彭", "鲁", "韦", "马", "苗", "方", "俞", "任",
    "袁", "柳", "唐", "薛", "雷", "贺", "倪", "汤", "滕", "殷", "罗", "毕", "郝", "安", "常", "傅"};
static const char *const given_names_list[] = {
    "敏",   "静",   "磊",   "平",   "旭",   "艳",   "勤",   "涛",   "霞",   "颖",   "秀兰", "桂芳",
    "玉梅", "淑珍", "建国", "长顺", "海燕", "春梅", "春生", "文博", "立新", "长河", "万仓", "凤英",
    "丽娟", "雪松", "金宝", "国栋", "彩云", "有财", "红霞", "学文", "小兵", "大海", "喜顺", "宝山",
    "明远", "守田", "佳怡", "雨桐", "子轩", "亦安", "思源", "若兰", "少华", "连生", "广田", "翠屏",
    "瑞祥", "景云", "守信", "存义", "润泽", "秋实", "冬青", "望舒", "知夏", "云帆", "向阳", "新民"};
static const char *const places_list[] = {"城东", "城西", "河阳", "石桥", "柳塘", "杨桥", "南岗", "北屯",
                                          "白塔", "青石", "大湾", "沙河", "东渡", "西山", "梅岭", "竹园",
                                          "松林", "平川", "高台", "长桥", "古井", "新坪", "花溪", "双河"};
static const char *const streets_list[] = {
    "朝阳路", "人民街", "解放路", "和平街", "建设路", "文化路", "新华街", "站前路", "滨河路", "学府路",
    "工农街", "胜利路", "光明街", "北环路", "友谊街", "幸福路", "迎宾路", "南市街", "中心街", "振兴路"};
static const char *const villages_list[] = {"上河", "下河", "李家", "王家", "前屯", "后屯", "大柳",
                                            "小柳", "东沟", "西沟", "老庙", "新立", "红旗", "靠山",
                                            "柳条", "泉眼", "三道", "五里", "石门", "榆树"};
static const char *const luck_list[] = {"宏达", "鑫源", "福来", "顺发",   "兴隆", "万和",   "双兴",   "金桥",
                                        "和平", "天天", "百汇", "好邻居", "春晓", "客来顺", "家家乐", "永兴",
                                        "聚丰", "同心", "佳美", "新起点", "惠民", "晨光",   "东升",   "锦绣",
                                        "平安", "乐佳", "广源", "利民",   "四季", "红星",   "隆昌",   "益客"};
static const char *const families_list[] = {
    "夫妻二人同店经营", "一家三口，子女在读", "与父母同住，母亲常代订", "独自经营", "丈夫常代订",
    "妻子常代订",       "儿子帮忙看店",       "女儿帮忙看店",           "兄弟合开", "父子两代经营"};
static const char *const brands_list[] = {"川砚", "栖梧", "澄岚", "砚溪", "疏桐", "岫云", "听澜", "漱石",
                                          "衔山", "霁川", "朗溪", "榆谷", "槿原", "柏影", "枕泉", "苇岸",
                                          "棠梨", "杉屿", "芦汀", "晴麓", "墨池", "蓼洲", "石蕖", "荻浦",
                                          "梧坡", "汀兰", "樟隐", "雁渚", "溪午", "谷汀", "稻浪", "麦垄",
                                          "檐雨", "竹坞", "桑陌", "藕塘", "云碓", "霜桥", "柚亭", "栗坪"};
static const char *const specifications_list[] = {
    "(硬红)",   "(软蓝)", "(细支)", "(中支)",   "(硬金)",   "(软红)",   "(硬蓝)",   "(爆珠)",
    "(细支金)", "(硬)",   "(软)",   "(硬银)",   "(软金)",   "(中支银)", "(细支蓝)", "(硬绿)",
    "(软银)",   "(短支)", "(硬紫)", "(中支金)", "(细支银)", "(软绿)",   "(硬白)",   "(软紫)"};

const struct words surnames = WORDS(surnames_list);
const struct words given_names = WORDS(given_names_list);
const struct words places = WORDS(places_list);
const struct words streets = WORDS(streets_list);
const struct words villages = WORDS(villages_list);
const struct words luck = WORDS(luck_list);
const struct words families = WORDS(families_list);
const struct words brands = WORDS(brands_list);
const struct words specifications = WORDS(specifications_list);

const char *pick(struct dice *dice, const struct words *words)
{
    return words->word[dice_below(dice, words->n)];
}
